"use strict";
// Tables that sort and filter, figures that can be read and enlarged. Without this script the page is complete.
const page = (() => {
  const template = document.createElement("template");
  template.innerHTML = "<svg></svg>";
  const NARROW = 520; // pixels of a figure's frame below which a note has no room beside the reader
  const SVG = template.content.firstChild.namespaceURI;
  const MARKERS = { o: "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0", s: "M-3-3h6v6h-6z", "^": "M0-3.5l3.5 6h-7z", v: "M0 3.5l3.5-6h-7z",
    D: "M0-3.5l3.5 3.5l-3.5 3.5l-3.5-3.5z", P: "M0-4v8M-4 0h8", X: "M-3-3l6 6M3-3l-6 6", x: "M-3-3l6 6M3-3l-6 6" };

  // What cannot be seen, or turns text around, by its number: a name may hold it.
  const visible = text => text.replace(/[^\P{C}\n\t]/gu, letter => `\\u${letter.codePointAt(0).toString(16).padStart(4, "0")}`);

  function make(tag, attributes = {}, ...children) {
    const node = tag === "svg" || tag === "line" || tag === "path" ? document.createElementNS(SVG, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children.map(child => typeof child === "string" ? visible(child) : child));
    return node;
  }

  // ---------------------------------------------------------------- tables
  function sortable(table) {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells], original = [...body.rows];
    const key = cell => {
      if (cell.dataset.sort !== undefined) return Number(cell.dataset.sort);
      const text = cell.textContent.trim(), value = Number(text.replace("\u2212", "-"));
      return text === "" ? null : Number.isNaN(value) ? text : value;
    };
    // Numbers before words; what is absent stays last in both directions.
    const compare = (a, b) => typeof a === typeof b
      ? (typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true }))
      : typeof a === "number" ? -1 : 1;
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")];
      for (const other of heads) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", next);
      const sign = next === "descending" ? -1 : 1;
      const rows = next === "none" ? original : original.map(row => [key(row.cells[column]), row])
        .sort(([a], [b]) => a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b))
        .map(([, row]) => row);
      body.append(...rows);
    }));
    const field = table.closest(".table")?.querySelector("input[type=search]");
    field?.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of original) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every(word => text.includes(word));
      }
    });
  }

  // ---------------------------------------------------------------- words
  const number = (value, digits = 4) => Number.isFinite(value)
    ? String(Number(value.toPrecision(digits))).replace("-", "\u2212") : "none";
  // "frequency (cycles per pixel)" -> what it is, and its unit
  const parts = label => {
    const found = /^(.*?)\s*\(([^()]*)\)$/.exec(label ?? "");
    return found ? { name: found[1], unit: found[2] } : { name: label ?? "", unit: "" };
  };
  const measured = (value, unit, digits = 3) => number(value, digits) + (unit && Number.isFinite(value) ? `\u00a0${unit}` : "");

  function swatch(look) {
    const marker = MARKERS[look.marker], color = look.color;
    const svg = make("svg", { class: "swatch", width: 34, height: 12, viewBox: "0 0 34 12", "aria-hidden": "true" });
    if (look.line !== false) svg.append(make("line", { x1: 1, x2: 33, y1: 6, y2: 6, stroke: color, "stroke-width": 2,
      ...(look.dashes.length ? { "stroke-dasharray": look.dashes.map(dash => 1.8 * dash).join(" ") } : {}) }));
    if (marker) svg.append(make("path", { d: marker, transform: "translate(17 6)", stroke: color, "stroke-width": 1.3 }));
    return svg;
  }

  // ---------------------------------------------------------------- one axes: where a reader stands, and what is there
  const place = (axis, part) => axis.log ? axis.low * (axis.high / axis.low) ** part : axis.low + part * (axis.high - axis.low);
  const part = (axis, value) => axis.log ? Math.log(value / axis.low) / Math.log(axis.high / axis.low)
    : (value - axis.low) / (axis.high - axis.low);

  // The curve as it is drawn: straight between its points, absent where one of them is.
  function level(line, x) {
    const at = line.x.findIndex(value => value >= x);
    if (at < 0 || (at === 0 && line.x[0] !== x)) return NaN;
    if (line.x[at] === x) return line.y[at] ?? NaN;
    const [x0, x1, y0, y1] = [line.x[at - 1], line.x[at], line.y[at - 1], line.y[at]];
    return y0 === null || y1 === null ? NaN : y0 + (y1 - y0) * (x - x0) / (x1 - x0);
  }

  function curves(axes, sets, hidden) {
    const x = parts(axes.x.label), y = parts(axes.y.label);
    const shown = () => axes.lines.filter(line => !hidden.has(line.set));
    const stops = () => [...new Set(shown().flatMap(line => line.x))].filter(value => part(axes.x, value) > -1e-6
      && part(axes.x, value) < 1 + 1e-6).sort((a, b) => a - b);
    return {
      words: "Left and right arrow keys read the curves",
      start: () => [Math.floor(stops().length / 2), 0],
      nearest(across) {
        const value = place(axes.x, across), all = stops();
        return [all.reduce((best, stop, k) => Math.abs(stop - value) < Math.abs(all[best] - value) ? k : best, 0), 0];
      },
      clamp: ([k]) => [Math.max(0, Math.min(stops().length - 1, k)), 0],
      read([k]) {
        const stop = stops()[k];
        if (stop === undefined) return null;
        const rows = shown().map(line => [sets[line.set], measured(level(line, stop), y.unit)]);
        return { head: `${x.name} ${measured(stop, x.unit, 4)}`, rows, mark: { left: part(axes.x, stop), width: 0, top: 0, height: 1 } };
      },
    };
  }

  function map(axes) {
    const of = axes.map, [left, right, top, bottom] = of.reach, x = parts(axes.x.label), y = parts(axes.y.label);
    const bytes = of.levels ? Uint8Array.from(atob(of.levels), letter => letter.charCodeAt(0)) : null;
    const codes = bytes && new DataView(bytes.buffer);
    const value = (row, column) => {
      const code = codes.getUint16(2 * (row * of.columns + column), true);
      return code === 65535 ? NaN : of.low + code / 65534 * (of.high - of.low);
    };
    const inside = (k, count) => Math.max(0, Math.min(count - 1, k));
    const across = column => left + (column + 0.5) / of.columns * (right - left);
    const down = row => top + (row + 0.5) / of.rows * (bottom - top);
    const named = (names, k, what, at) => names ? `${what.name} ${names[k]}` : `${what.name} ${measured(at, what.unit, 4)}`;
    const unit = parts(of.label);
    return {
      words: "Arrow keys read the map",
      start: () => [Math.floor(of.columns / 2), Math.floor(of.rows / 2)],
      nearest: (a, b) => [
        inside(Math.floor((place(axes.x, a) - left) / (right - left) * of.columns), of.columns),
        inside(Math.floor((place(axes.y, 1 - b) - top) / (bottom - top) * of.rows), of.rows)],
      clamp: ([k, l]) => [inside(k, of.columns), inside(l, of.rows)],
      read([column, row]) {
        const ends = [part(axes.x, left + column / of.columns * (right - left)), part(axes.x, left + (column + 1) / of.columns * (right - left))];
        const sides = [1 - part(axes.y, top + row / of.rows * (bottom - top)), 1 - part(axes.y, top + (row + 1) / of.rows * (bottom - top))];
        const head = [axes.title, named(of.x_names, column, x, across(column)), named(of.y_names, row, y, down(row))];
        return { head: head.filter(Boolean).join(", "),
          rows: codes ? [[null, `${unit.unit ? unit.name : of.label} ${measured(value(row, column), unit.unit)}`.trim()]] : [],
          mark: { left: Math.min(...ends), width: Math.abs(ends[1] - ends[0]), top: Math.min(...sides), height: Math.abs(sides[1] - sides[0]) } };
      },
    };
  }

  // ---------------------------------------------------------------- a figure that answers a pointer and the arrow keys
  function readable(drawing, reading, hidden = new Set()) {
    const note = make("output", { class: "note-of-curves" });
    const marks = reading.axes.map(axes => {
      const reader = axes.map ? map(axes) : curves(axes, reading.sets, hidden);
      const [left, top, right, bottom] = axes.box, per = value => `${100 * value}%`;
      const area = make("div", { class: "area", tabindex: "0", role: "application",
        "aria-label": `${axes.title || axes.y.label}: ${reader.words}` });
      Object.assign(area.style, { left: per(left), top: per(top), width: per(right - left), height: per(bottom - top) });
      const mark = make("div", { class: axes.map ? "cell" : "rule" });
      mark.hidden = true;
      area.append(mark);
      let at = null;
      const show = where => {
        at = reader.clamp(where);
        const found = reader.read(at);
        if (!found) return;
        for (const [side, value] of Object.entries(found.mark)) mark.style[side] = per(value);
        mark.hidden = note.hidden = false;
        note.replaceChildren(make("b", {}, found.head), ...found.rows.map(([look, text]) =>
          make("span", {}, ...(look ? [swatch(look), make("i", {}, look.name)] : []), make("strong", {}, text))));
        // Beside the reader, on the side that has more room in what is to be seen of the figure.
        const middle = left + (right - left) * (found.mark.left + found.mark.width / 2);
        const seen = drawing.parentElement.getBoundingClientRect(), own = drawing.getBoundingClientRect();
        const x = own.left + middle * own.width, before = x - seen.left > seen.right - x;
        // On a narrow screen below the figure: beside the reader it would hide the curves, and be cut off. It lies
        // over what stands there, so that nothing moves away from under a finger.
        const figure = seen.width < NARROW ? drawing.closest("figure") : null, paper = drawing.parentElement;
        (figure ?? drawing).append(note);
        Object.assign(note.style, figure
          ? { top: `${paper.offsetTop + paper.offsetHeight}px`, left: 0, right: 0, maxWidth: "none" }
          : { top: per(top), left: before ? "auto" : per(middle), right: before ? per(1 - middle) : "auto",
            maxWidth: `${Math.max(120, Math.min(420, (before ? x - seen.left : seen.right - x) - 22))}px` });
      };
      const hide = () => { mark.hidden = note.hidden = true; };
      const follow = event => {
        const box = area.getBoundingClientRect();
        show(reader.nearest((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height));
      };
      area.addEventListener("pointermove", follow);
      area.addEventListener("pointerdown", follow);
      area.addEventListener("pointerleave", () => { if (document.activeElement !== area) hide(); });
      area.addEventListener("focus", () => { if (area.matches(":focus-visible")) show(at ?? reader.start()); });
      area.addEventListener("blur", hide);
      area.addEventListener("keydown", event => {
        const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], PageUp: [10, 0], PageDown: [-10, 0] };
        const [across, down] = steps[event.key] ?? [0, 0];
        if (event.key === "Escape") hide();
        if (!across && (!down || !axes.map)) return;
        event.preventDefault();
        const from = at ?? reader.start();
        show([from[0] + across, from[1] + down]);
      });
      return area;
    });
    note.hidden = true;
    drawing.append(...marks, note);
  }

  // ---------------------------------------------------------------- sets of a drawing that are left out
  function toggles(image, sets, hidden) {
    const start = "data:image/svg+xml;base64,";
    if (sets.length < 2 || !image.src.startsWith(start)) return null;
    const bytes = Uint8Array.from(atob(image.src.slice(start.length)), letter => letter.charCodeAt(0));
    // As text: parsed, the drawing's own styles would be held against this page's security policy.
    const drawn = new TextDecoder().decode(bytes);
    if (!/<g id="set-\d/.test(drawn)) return null;
    const redraw = () => {
      const left = drawn.replace(/<g id="(set|key)-(\d+)-\d+"/g, (tag, kind, k) => !hidden.has(Number(k)) ? tag
        : `${tag} ${kind === "set" ? 'display="none"' : 'opacity="0.25"'}`);
      image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(left);
    };
    return sets.map((set, k) => {
      const button = make("button", { type: "button", "aria-pressed": "true" }, swatch(set), set.name);
      button.addEventListener("click", () => {
        hidden[hidden.has(k) ? "delete" : "add"](k);
        button.setAttribute("aria-pressed", String(!hidden.has(k)));
        redraw();
      });
      return button;
    });
  }

  // ---------------------------------------------------------------- a figure by itself, as large as one likes
  const dialog = make("dialog", { class: "enlarged", "aria-label": "The figure, enlarged" });
  let home = null, scale = 1;
  function enlarge(drawing) {
    home = drawing.parentElement;
    const paper = make("div", { class: home.className, tabindex: "0", role: "region", "aria-label": "The enlarged figure; it scrolls" });
    const zoom = factor => {
      scale = factor ? Math.max(1, Math.min(8, scale * factor)) : 1;
      const [x, y] = [paper.scrollLeft + paper.clientWidth / 2, paper.scrollTop + paper.clientHeight / 2], before = drawing.clientWidth || 1;
      drawing.style.width = `${100 * scale}%`;
      const ratio = drawing.clientWidth / before;
      paper.scrollTo({ left: x * ratio - paper.clientWidth / 2, top: y * ratio - paper.clientHeight / 2, behavior: "instant" });
    };
    const button = (text, title, action) => {
      const node = make("button", { type: "button", title, "aria-label": title }, text);
      node.addEventListener("click", action);
      return node;
    };
    paper.append(drawing);
    dialog.replaceChildren(make("div", { class: "tools-of-figure" }, button("\u2212", "Smaller", () => zoom(1 / 1.5)),
      button("+", "Larger", () => zoom(1.5)), button("Fit", "Fit the window", () => zoom(0)),
      button("Close", "Close", () => { putBack(); dialog.close(); })), paper);
    dialog.onkeydown = event => {
      const factor = { "+": 1.5, "=": 1.5, "-": 1 / 1.5, 0: 0 }[event.key];
      if (factor !== undefined && !event.ctrlKey && !event.metaKey) { event.preventDefault(); zoom(factor); }
    };
    dialog.classList.toggle("pixels", home.parentElement.classList.contains("natural"));
    dialog.showModal();
    zoom(0);
  }
  function putBack() {
    const drawing = dialog.querySelector(".drawing");
    if (!drawing) return;
    drawing.style.width = "";
    home.append(drawing);
  }
  dialog.addEventListener("close", () => { putBack(); home.parentElement.querySelector(".enlarge").focus(); });

  for (const table of document.querySelectorAll("table.sortable")) sortable(table);
  document.body.append(dialog);
  for (const figure of document.querySelectorAll("main figure")) {
    const drawing = figure.querySelector(".drawing"), image = drawing.querySelector("img");
    const stored = figure.querySelector("script.reading"), tools = make("div", { class: "tools-of-figure" }), hidden = new Set();
    if (stored) {
      const reading = JSON.parse(stored.textContent);
      readable(drawing, reading, hidden);
      tools.append(...toggles(image, reading.sets, hidden) ?? []);
    }
    const button = make("button", { type: "button", class: "enlarge" }, "Enlarge");
    button.addEventListener("click", () => enlarge(drawing));
    tools.append(button);
    figure.querySelector(".paper").after(tools);
  }
  return { make, number, readable, sortable, swatch };
})();
