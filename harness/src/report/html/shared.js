"use strict";
document.documentElement.classList.add("scripted");

// Shared by the list of files and the timeline.
const slt = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);

  const seconds = (us) => {
    const s = us / 1e6;
    const whole = Math.floor(s);
    const two = (n) => String(n).padStart(2, "0");
    if (us === 0) return "0 s";
    if (s < 0.01) return `${(s * 1e3).toFixed(1)} ms`;
    if (s < 0.9995) return `${(s * 1e3).toFixed(0)} ms`;
    if (s < 59.995) return `${s.toFixed(2)} s`;
    if (s < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
    return `${Math.floor(whole / 3600)} h ${two(Math.floor(whole / 60) % 60)} min`;
  };

  const number = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");

  // An element with a class and children; text is only set as text, never as HTML.
  const element = (tag, className, ...children) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    made.append(...children);
    return made;
  };

  const kindClass = (index) => data.kinds[data.kind[index]][0];
  const kindWord = (index) => data.kinds[data.kind[index]][1];

  return { data, seconds, number, element, kindClass, kindWord, show: (_index) => {} };
})();
