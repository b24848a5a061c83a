"use strict";
// The list of files: searched, filtered, sorted, and opened one by one.
(() => {
  const { data, seconds, number, element, kindClass, kindWord } = slt;
  const list = document.getElementById("list");
  const search = document.getElementById("search");
  const sort = document.getElementById("sort");
  const found = document.getElementById("found");
  const more = document.getElementById("more");
  const chips = [...document.querySelectorAll("[data-kind]")];

  // How many files are added to the list at once.
  const STEP = 200;

  const all = data.names.map((_, index) => index);
  let haystacks = null;
  let chosen = "";
  let matches = [];
  let shown = 0;

  const haystack = (index) => {
    const texts = data.texts[index];
    const messages = texts?.failures?.map((failure) => failure.message) ?? [];
    return [data.names[index], kindWord(index), data.note[index], ...messages].join("\n").toLowerCase();
  };

  const byName = (a, b) => (data.names[a] < data.names[b] ? -1 : data.names[a] > data.names[b] ? 1 : a - b);
  const orders = {
    verdict: (a, b) => data.kind[a] - data.kind[b] || byName(a, b),
    time: (a, b) => data.wall[b] - data.wall[a] || byName(a, b),
    name: byName,
    start: (a, b) => (data.start[a] ?? Infinity) - (data.start[b] ?? Infinity) || byName(a, b),
  };

  const update = () => {
    haystacks ??= all.map(haystack);
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const order = orders[sort.value] ?? orders.verdict;
    matches = all
      .filter((index) => chosen === "" || data.kind[index] === Number(chosen))
      .filter((index) => words.every((word) => haystacks[index].includes(word)))
      .sort(order);
    list.replaceChildren();
    shown = 0;
    extend();
  };

  const extend = () => {
    const rows = matches.slice(shown, shown + STEP).map(row);
    list.append(...rows);
    shown += rows.length;
    const left = matches.length - shown;
    more.hidden = left === 0;
    more.textContent = `Show ${number(Math.min(left, STEP))} more`;
    const files = matches.length === 1 ? "file" : "files";
    found.textContent =
      matches.length === 0
        ? "No file matches."
        : `${number(matches.length)} ${files}${left > 0 ? `, the first ${number(shown)} shown` : ""}`;
    return rows[0];
  };

  const row = (index) => {
    const name = data.names[index];
    const cut = name.lastIndexOf("/") + 1;
    const folder = element("i", "", name.slice(0, cut));
    const pass = data.pass[index] > 1 ? ` (pass ${data.pass[index]})` : "";
    const title = element("span", "title", element("span", "name", folder, name.slice(cut) + pass));
    if (data.past[index]) title.append(" ", past(index));
    if (data.flaky[index]) title.append(" ", element("span", "badge flaky", "flaky"));
    const [checked, failed] = [data.passed[index] + data.failed[index], data.failed[index]];
    const tell = failed > 0 ? `${number(failed)} of ${number(checked)} records failed` : data.note[index];
    const summary = element(
      "summary",
      "",
      element("span", `badge ${kindClass(index)}`, kindWord(index)),
      title,
      element("span", "tell", tell),
      element("span", "took", data.start[index] === null && data.wall[index] === 0 ? "" : seconds(data.wall[index])),
    );
    const details = element("details", "", summary);
    details.addEventListener("toggle", () => {
      if (details.open) fill(details, index);
    });
    const item = element("li", "", details);
    item.dataset.index = index;
    return item;
  };

  // A mark for each of the last runs; the digits are verdicts.
  const past = (index) => {
    const verdicts = [...data.past[index]].map((digit) => (digit === "-" ? ["absent", "not in the run"] : data.kinds[Number(digit)]));
    const marks = element("span", "past", ...verdicts.map(([name]) => element("span", `dot ${name}`)));
    marks.title = `Last runs: ${verdicts.map(([, word]) => word).join(", ")}`;
    marks.setAttribute("role", "img");
    marks.setAttribute("aria-label", marks.title);
    return marks;
  };

  // The body is created when it is first opened.
  const fill = (details, index) => {
    if (details.childElementCount === 1) details.append(body(index));
  };

  const body = (index) => {
    const facts = element("dl", "facts");
    const fact = (term, text) => facts.append(element("div", "", element("dt", "", term), element("dd", "", text)));
    if (data.note[index]) fact(kindWord(index), data.note[index]);
    const records = [data.passed[index], data.failed[index], data.skipped[index]].map(number);
    fact("records", `${records[0]} passed, ${records[1]} failed, ${records[2]} skipped`);
    if (data.start[index] !== null) {
      fact("began after", seconds(data.start[index]));
      // Unknown for a process that was killed.
      if (data.engine[index] > 0) fact("in the engine", seconds(data.engine[index]));
    }
    if (data.worker[index] > 0) fact("worker", data.worker[index]);
    if (data.attempt[index] > 1) fact("attempt", data.attempt[index]);
    if (data.pass[index] > 1) fact("pass", data.pass[index]);
    if (data.peak[index] > 0) fact("peak memory", `${number(Math.round(data.peak[index] / 1048576))} MiB`);
    const made = element("div", "body", facts);
    const texts = data.texts[index];
    for (const failure of texts?.failures ?? []) made.append(failureOf(failure));
    const left = data.failed[index] - (texts?.failures?.length ?? 0);
    if (left > 0 && texts) made.append(element("p", "label", `… and ${number(left)} more failing records`));
    if (texts?.output) made.append(element("span", "label", "What the process printed"), text("output", texts.output));
    if (texts?.cut) made.append(element("p", "label", "Shortened here; results.json holds more."));
    const link = element("a", "", "Link to this file");
    link.href = fragment(data.names[index]);
    const again = element("p", "again", link);
    if (data.again) {
      const copy = element("button", "copy", "Copy");
      copy.type = "button";
      again.prepend(element("code", "", `${data.again} ${quoted(data.names[index])}`), " ", copy, " ");
    }
    made.append(again);
    return made;
  };

  const fragment = (name) => `#${encodeURIComponent(name).replaceAll("%2F", "/").replaceAll("%3A", ":")}`;

  // A word, quoted for a shell.
  const quoted = (word) => (/^[\w./:@%+,=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);

  const text = (className, content) => {
    const made = element("pre", className, content);
    made.tabIndex = 0;
    return made;
  };

  const classes = { "-": "gone", "+": "came", "?": "mark", "@": "where" };

  const failureOf = (failure) => {
    const pass = failure.pass ? ` (${failure.pass})` : "";
    const at = failure.line > 0 ? `${failure.file}:${failure.line}${pass}` : failure.file;
    const made = element("div", "failure", element("p", "message", failure.message), element("p", "at", at));
    if (failure.sql) made.append(element("span", "label", "SQL"), text("sql", failure.sql));
    if (failure.diff) {
      const diff = text("diff", "");
      for (const line of failure.diff.split("\n")) {
        diff.append(element("span", classes[line.startsWith("@@") ? "@" : line[0]] ?? "", line || " "));
      }
      made.append(element("span", "label", "− expected, + actual"), diff);
    }
    if (failure.returned) made.append(element("span", "label", "Returned"), text("output", failure.returned));
    return made;
  };

  const choose = (kind) => {
    chosen = kind;
    for (const chip of chips) chip.setAttribute("aria-pressed", String(chip.dataset.kind === kind));
  };

  // How far below the top of the window a row must be, so that the search does not cover it.
  const clear = () => list.style.setProperty("--tools", `${search.form.offsetHeight + 8}px`);

  // Opens an element among the failures, and scrolls to it.
  const reveal = (there) => {
    const details = there.closest("details");
    if (details) details.open = true;
    there.scrollIntoView({ block: "start", behavior: "instant" });
    (details?.querySelector("summary") ?? there).focus({ preventScroll: true });
  };

  // Shows one file, opened: among the failures, or else in the list, whose search it replaces.
  slt.show = (index) => {
    const name = data.names[index];
    if (decoded() !== name) history.replaceState(null, "", fragment(name));
    const there = document.getElementById(name);
    if (there) {
      reveal(there);
      return;
    }
    choose("");
    search.value = data.names[index];
    update();
    while (matches.indexOf(index) >= shown && shown < matches.length) extend();
    const item = list.querySelector(`[data-index="${index}"]`);
    const details = item.firstElementChild;
    // Now, because the browser reports the opening later, and the scroll position depends on the height.
    fill(details, index);
    details.open = true;
    clear();
    item.scrollIntoView({ block: "start", behavior: "instant" });
    item.querySelector("summary").focus({ preventScroll: true });
  };

  const decoded = () => {
    try {
      return decodeURIComponent(location.hash.slice(1));
    } catch {
      return "";
    }
  };

  // Follows `#file` and `#file:line`.
  const follow = () => {
    const wanted = decoded();
    const there = wanted && document.getElementById(wanted);
    if (there) {
      if (there.closest("#failures .file")) reveal(there);
      return;
    }
    const index = [wanted, wanted.replace(/:\d+(\([^)]*\))?$/, "")].map((name) => data.names.indexOf(name)).find((at) => at >= 0);
    if (index !== undefined) slt.show(index);
  };
  addEventListener("hashchange", follow);
  // When everything above has its height.
  addEventListener("load", () => requestAnimationFrame(follow));

  // The results begin below the search, wherever one has scrolled to.
  search.addEventListener("input", () => {
    update();
    const section = document.getElementById("files");
    if (section.getBoundingClientRect().top < 0) section.scrollIntoView({ block: "start", behavior: "instant" });
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && search.value !== "") {
      event.preventDefault();
      search.value = "";
      update();
    }
  });
  search.form.addEventListener("submit", (event) => event.preventDefault());
  sort.addEventListener("change", update);
  more.addEventListener("click", () => extend()?.querySelector("summary").focus());
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      choose(chip.dataset.kind);
      update();
    });
  }
  const copied = async (button) => {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      const range = document.createRange();
      range.selectNodeContents(code);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button.copy");
    if (button) copied(button);
    const link = event.target.closest?.("a[data-file]");
    const index = link ? data.names.indexOf(link.dataset.file) : -1;
    if (index >= 0) {
      event.preventDefault();
      slt.show(index);
    }
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, select, textarea");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  });

  update();
})();
