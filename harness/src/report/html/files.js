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
    const [checked, failed] = [data.passed[index] + data.failed[index], data.failed[index]];
    const tell = failed > 0 ? `${number(failed)} of ${number(checked)} records failed` : data.note[index];
    const summary = element(
      "summary",
      "",
      element("span", `badge ${kindClass(index)}`, kindWord(index)),
      element("span", "name", folder, name.slice(cut) + pass),
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
    if (data.again) {
      made.append(element("span", "label", "To run it again"), text("sql", `${data.again} ${quoted(data.names[index])}`));
    }
    return made;
  };

  // A word, quoted for a shell.
  const quoted = (word) => (/^[\w./:@%+,=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);

  const text = (className, content) => {
    const made = element("pre", className, content);
    made.tabIndex = 0;
    return made;
  };

  const failureOf = (failure) => {
    const pass = failure.pass ? ` (${failure.pass})` : "";
    const at = failure.line > 0 ? `${failure.file}:${failure.line}${pass}` : failure.file;
    const made = element("div", "failure", element("p", "message", failure.message), element("p", "at", at));
    if (failure.sql) made.append(element("span", "label", "SQL"), text("sql", failure.sql));
    if (failure.diff) {
      const diff = text("diff", "");
      for (const line of failure.diff.split("\n")) {
        const className = line.startsWith("-") ? "gone" : line.startsWith("+") ? "came" : "";
        diff.append(element("span", className, line || " "));
      }
      made.append(element("span", "label", "− expected, + actual"), diff);
    }
    return made;
  };

  const choose = (kind) => {
    chosen = kind;
    for (const chip of chips) chip.setAttribute("aria-pressed", String(chip.dataset.kind === kind));
  };

  // Shows one file, opened, and clears the search.
  slt.show = (index) => {
    choose("");
    search.value = data.names[index];
    update();
    while (matches.indexOf(index) >= shown && shown < matches.length) extend();
    const item = list.querySelector(`[data-index="${index}"]`);
    const details = item.firstElementChild;
    // Now, because the browser reports the opening later, and the scroll position depends on the height.
    fill(details, index);
    details.open = true;
    item.scrollIntoView({ block: "center" });
    item.querySelector("summary").focus({ preventScroll: true });
  };

  search.addEventListener("input", update);
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
  document.addEventListener("click", (event) => {
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
