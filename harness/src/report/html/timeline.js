"use strict";
// The timeline: a lane for each worker, drawn on a canvas, with zoom, pointer and keyboard navigation.
(() => {
  const { data, seconds, number } = slt;
  const canvas = document.getElementById("lanes");
  if (!canvas) return;
  const tip = document.getElementById("tip");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const end = Math.max(data.end, 1);
  const LEFT = 34;
  const TOP = 22;
  const count = data.lanes.length;
  const height = count <= 16 ? 22 : count <= 48 ? 14 : 8;
  const gap = height > 10 ? 4 : 2;
  const crashed = data.kinds.findIndex(([name]) => name === "crashed");
  // The visible range in microseconds, and the selected span, as lane and index.
  let view = { from: 0, to: end };
  let at = null;

  // A span is one attempt at one file: [file, start, wall, kind].
  const begin = (span) => span[1];
  const stop = (span) => span[1] + span[2];
  const spanAt = ({ lane, place }) => data.lanes[lane][place];
  const plot = () => canvas.clientWidth - LEFT - 2;
  const x = (us) => LEFT + ((us - view.from) / (view.to - view.from)) * plot();
  const us = (px) => view.from + ((px - LEFT) / plot()) * (view.to - view.from);
  const y = (lane) => TOP + lane * (height + gap);

  const hatch = (context, color) => {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const pen = tile.getContext("2d");
    pen.strokeStyle = color;
    pen.lineWidth = 1.2;
    for (const shift of [-8, 0, 8]) {
      pen.moveTo(shift, 8);
      pen.lineTo(shift + 8, 0);
    }
    pen.stroke();
    return context.createPattern(tile, "repeat");
  };

  // A round step between ticks, for about `wanted` ticks.
  const stepOf = (span, wanted) => {
    const rough = span / wanted;
    const power = 10 ** Math.floor(Math.log10(rough));
    return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
  };

  const draw = () => {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(`--${name}`).trim();
    const ratio = devicePixelRatio || 1;
    const [width, tall] = [canvas.clientWidth, TOP + count * (height + gap)];
    canvas.style.height = `${tall}px`;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(tall * ratio);
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";

    const span = view.to - view.from;
    const step = stepOf(span, Math.max(2, Math.floor(width / 110)));
    context.textAlign = "center";
    for (let tick = Math.ceil(view.from / step) * step; tick <= view.to; tick += step) {
      const px = Math.round(x(tick)) + 0.5;
      context.fillStyle = color("line");
      context.fillRect(px, TOP - 6, 1, tall);
      context.fillStyle = color("soft");
      const [unit, word] = view.to >= 1e6 ? [1e6, "s"] : [1e3, "ms"];
      const places = Math.max(0, Math.ceil(Math.log10(unit / step)));
      const label = `${places > 0 ? (tick / unit).toFixed(places) : number(Math.round(tick / unit))} ${word}`;
      if (px > LEFT + 14 && px < width - 20) context.fillText(label, px, 8);
    }

    context.save();
    context.beginPath();
    context.rect(LEFT, 0, plot() + 2, tall);
    context.clip();
    const idle = hatch(context, color("not-run"));
    const colors = data.kinds.map(([name]) => color(name));
    const usual = data.kinds.findIndex(([name]) => name === "passed");
    data.lanes.forEach((lane, place) => {
      const top = y(place);
      context.fillStyle = color("faint");
      context.fillRect(x(0), top, x(end) - x(0), height);
      const last = Math.max(...lane.slice(-1).map(stop));
      if (x(end) - x(last) > 1) {
        context.fillStyle = idle;
        context.fillRect(x(last), top, x(end) - x(last), height);
      }
      // Failures are drawn over passing files, and never too thin to see.
      let painted = -Infinity;
      for (const span of lane) {
        if (span[3] !== usual) continue;
        const [from, to] = [x(begin(span)), x(stop(span))];
        if (to < LEFT || from > width || to < painted + 0.4) continue;
        context.fillStyle = colors[usual];
        const room = to - from > 3 ? 0.75 : 0;
        // Gaps too narrow to see are closed to avoid flicker.
        const left = from - painted < 1 ? painted : from;
        context.fillRect(left, top, Math.max(to - left - room, 0.75), height);
        painted = to;
      }
      for (const span of lane) {
        if (span[3] === usual) continue;
        const [from, to] = [x(begin(span)), x(stop(span))];
        if (to < LEFT - 3 || from > width) continue;
        context.fillStyle = colors[span[3]];
        context.fillRect(from, top, Math.max(to - from - 0.75, 2), height);
        if (span[3] === crashed) {
          context.fillStyle = color("ink");
          context.fillRect(to - 1, top - 2, 2.5, height + 4);
        }
      }
    });
    if (at) {
      const span = spanAt(at);
      context.strokeStyle = color("ink");
      context.lineWidth = 2;
      const [from, to] = [x(begin(span)), x(stop(span))];
      context.strokeRect(from - 1, y(at.lane) - 1, Math.max(to - from, 3) + 1, height + 2);
    }
    context.restore();
    context.fillStyle = color("soft");
    context.textAlign = "right";
    const every = Math.ceil(12 / (height + gap));
    for (let place = 0; place < count; place += every) {
      context.fillText(String(place + 1), LEFT - 8, y(place) + height / 2 + 0.5);
    }
  };

  const point = (target) => {
    at = target;
    tip.hidden = !at;
    if (at) {
      const span = spanAt(at);
      const [index, start, wall, kind] = span;
      const last = start === data.start[index];
      const records = last && data.failed[index] > 0 ? `, ${number(data.failed[index])} records failed` : "";
      const note = last && data.note[index] ? ` (${data.note[index]})` : "";
      const again = !last ? ", run again later" : data.attempt[index] > 1 ? `, attempt ${data.attempt[index]}` : "";
      tip.textContent = `${data.names[index]}: ${data.kinds[kind][1]}${note}${records}, ${seconds(wall)}${again}`;
      const middle = (Math.max(x(start), LEFT) + Math.min(x(stop(span)), canvas.clientWidth)) / 2;
      tip.style.left = `${Math.max(0, Math.min(middle - tip.offsetWidth / 2, canvas.clientWidth - tip.offsetWidth))}px`;
      const below = y(at.lane) + height + 8;
      const above = y(at.lane) - tip.offsetHeight - 8;
      tip.style.top = `${above >= 0 ? above : below}px`;
    }
    requestAnimationFrame(draw);
  };

  // The index in a lane of the last file that had started by then.
  const placeAt = (lane, when) => {
    const entries = data.lanes[lane];
    let [low, high] = [0, entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (begin(entries[middle]) <= when) low = middle + 1;
      else high = middle;
    }
    return Math.max(low - 1, 0);
  };

  const under = (event) => {
    const box = canvas.getBoundingClientRect();
    const lane = Math.floor((event.clientY - box.top - TOP) / (height + gap));
    if (lane < 0 || lane >= count) return null;
    const when = us(event.clientX - box.left);
    const reach = us(3) - us(0);
    const place = placeAt(lane, when + reach);
    // Within reach, prefer a failed file to a passed one.
    const near = [place, place - 1, place + 1, place - 2].filter((p) => {
      const span = data.lanes[lane][p];
      return span !== undefined && begin(span) - reach <= when && stop(span) + reach >= when;
    });
    const best = near.sort((a, b) => data.lanes[lane][a][3] - data.lanes[lane][b][3])[0];
    return best === undefined ? null : { lane, place: best };
  };

  const zoom = (factor, center = (view.from + view.to) / 2) => {
    const span = Math.min(Math.max((view.to - view.from) * factor, 20), end);
    const share = (center - view.from) / (view.to - view.from);
    const from = Math.min(Math.max(center - span * share, 0), end - span);
    view = { from, to: from + span };
    point(at);
  };

  const reveal = () => {
    const [span, width] = [spanAt(at), view.to - view.from];
    if (begin(span) < view.from || stop(span) > view.to) {
      const from = Math.min(Math.max(begin(span) - width / 4, 0), end - width);
      view = { from, to: from + width };
    }
    point(at);
  };

  const keys = {
    ArrowRight: () => ({ lane: at.lane, place: Math.min(at.place + 1, data.lanes[at.lane].length - 1) }),
    ArrowLeft: () => ({ lane: at.lane, place: Math.max(at.place - 1, 0) }),
    ArrowDown: () => sideways(Math.min(at.lane + 1, count - 1)),
    ArrowUp: () => sideways(Math.max(at.lane - 1, 0)),
    Home: () => ({ lane: at.lane, place: 0 }),
    End: () => ({ lane: at.lane, place: data.lanes[at.lane].length - 1 }),
  };
  const sideways = (lane) => ({ lane, place: placeAt(lane, begin(spanAt(at))) });

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (keys[event.key]) {
      at = at ? keys[event.key]() : { lane: 0, place: 0 };
      reveal();
    } else if (event.key === "Enter" && at) slt.show(spanAt(at)[0]);
    else if (event.key === "+" || event.key === "=") zoom(0.5);
    else if (event.key === "-") zoom(2);
    else if (event.key === "0") zoom(Infinity);
    else if (event.key === "Escape") point(null);
    else return;
    event.preventDefault();
  });

  // Where a drag started, and whether it moved: then its end is not a click.
  let grip = null;
  let dragged = false;
  canvas.addEventListener("pointerdown", (event) => {
    grip = { px: event.clientX, from: view.from };
    dragged = false;
  });
  addEventListener("pointerup", () => {
    grip = null;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (grip && event.pointerType === "mouse" && Math.abs(event.clientX - grip.px) > 4) {
      dragged = true;
      const span = view.to - view.from;
      const shift = ((event.clientX - grip.px) / plot()) * span;
      const from = Math.min(Math.max(grip.from - shift, 0), end - span);
      view = { from, to: from + span };
      return point(null);
    }
    const target = under(event);
    if (target?.lane !== at?.lane || target?.place !== at?.place) point(target);
  });
  canvas.addEventListener("pointerleave", () => point(null));
  canvas.addEventListener("blur", () => point(null));
  canvas.addEventListener("click", (event) => {
    const target = dragged ? null : under(event);
    if (target) slt.show(spanAt(target)[0]);
  });
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(event.deltaY > 0 ? 1.25 : 0.8, us(event.clientX - canvas.getBoundingClientRect().left));
    },
    { passive: false },
  );
  document.getElementById("zoom-in").addEventListener("click", () => zoom(0.5));
  document.getElementById("zoom-out").addEventListener("click", () => zoom(2));
  document.getElementById("zoom-all").addEventListener("click", () => zoom(Infinity));

  let width = 0;
  new ResizeObserver(() => {
    if (canvas.clientWidth !== width) {
      width = canvas.clientWidth;
      draw();
    }
  }).observe(canvas.parentElement);
  dark.addEventListener("change", draw);
})();
