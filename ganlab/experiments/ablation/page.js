"use strict";
const at = id => document.getElementById(id);
const data = JSON.parse(at("data").textContent);
const colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8B5A2B"];
const dashes = ["", "6 3", "2 2", "8 3 2 3", "12 4", "1 4"];
const theoryDashes = ["9 2 2 2 2 2", "4 4", "14 3", "9 3 2 3", "5 2 1 2", "16 4 3 4"];
const KINDS = ["radial", "horizontal", "vertical"];
const KIND_TITLES = { radial: "ring average", horizontal: "row spectrum", vertical: "column spectrum" };
const picked = new Set(data.first);
const NULL = { colour: "#767676", dash: "1 2", width: 2 };

function fill(node, attributes, text) {
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) node.setAttribute(name, value);
  if (text !== null && text !== undefined) node.textContent = text;
  return node;
}
const make = (tag, text, attributes = {}) => fill(document.createElement(tag), attributes, text);
const draw = (tag, attributes, text) => fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, text);
const absent = value => value === null || value === undefined;
const minus = text => text.replace(/^-/, "\u2212");
const shown = value => typeof value === "number"
  ? minus(Number.isInteger(value) ? String(value) : value.toPrecision(3)) : (value ?? "");

function table(node, columns, rows, options) {
  const head = document.createElement("thead"), body = document.createElement("tbody"), line = document.createElement("tr");
  const search = options.filter;
  let order = null, up = true;
  function compare(a, b) {
    const x = a[order], y = b[order];
    if (absent(x) || absent(y)) return absent(x) - absent(y);
    const sign = typeof x === "number" && typeof y === "number" ? x - y
      : String(x).localeCompare(String(y), undefined, { numeric: true });
    return up ? sign : -sign;
  }
  function visible() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = rows.filter(row => {
      const text = columns.map(name => row[name]).join(" ").toLowerCase();
      return words.every(word => text.includes(word));
    });
    return order === null ? kept : kept.sort(compare);
  }
  function refresh() {
    body.replaceChildren(...visible().map(row => {
      const tr = document.createElement("tr");
      if (row.status && row.status !== "finished") tr.className = "bad";
      if (options.first) tr.append(options.first(row));
      tr.append(...columns.map(name => options.cell(row, name)));
      return tr;
    }));
    if (options.after) options.after(body.children.length);
  }
  if (options.first) line.append(make("th", "", { class: "pick" }));
  for (const name of columns) {
    const text = rows.some(row => typeof row[name] === "string");
    const th = make("th", null, { "aria-sort": "none", class: text ? "left" : undefined, scope: "col" });
    const button = make("button", data.titles[name] ?? name, { type: "button" });
    button.addEventListener("click", () => {
      up = order === name ? !up : true; order = name;
      for (const other of line.children) other.setAttribute("aria-sort", "none");
      th.setAttribute("aria-sort", up ? "ascending" : "descending");
      refresh();
    });
    th.append(button); line.append(th);
  }
  head.append(line);
  search.addEventListener("input", refresh);
  node.replaceChildren(head, body, ...(options.foot ? [options.foot()] : []));
  refresh();
  return { visible, refresh };
}
function plain(row, name) {
  return make("td", shown(row[name]), typeof row[name] === "number" ? {} : { class: "left" });
}
function interval(td, low, high) {
  if (!absent(low)) td.append(make("small", ` [${shown(low)}, ${shown(high)}]`));
  return td;
}
function measured(row, name) {
  const td = interval(plain(row, name), row[name + "_low"], row[name + "_high"]);
  const limit = data.reals[data.cells[row.cell].reals]?.deviations[name];
  if (!absent(row[name]) && limit && !absent(limit.high)
    && row[name] <= limit.high && (!data.signed.includes(name) || row[name] >= limit.low)) td.classList.add("muted");
  return td;
}
function nullRows() {
  const foot = document.createElement("tfoot");
  for (const reals of Object.values(data.reals)) {
    const tr = make("tr", null, { class: "null" });
    tr.append(make("td", "", { class: "pick" }));
    tr.append(make("td", `null control: ${reals.fakes ?? "?"} reals against ${reals.count ?? "?"}`,
      { class: "left", colspan: data.axes.length + 4 }));
    for (const name of data.metrics) {
      const one = reals.deviations[name];
      tr.append(one ? interval(make("td", shown(one.mean)), one.low, one.high) : make("td", ""));
    }
    foot.append(tr);
  }
  return foot;
}

function niceTicks(low, high, count = 6) {
  const raw = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find(factor => factor * power >= raw * 0.999);
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) ticks.push(Number((k * step).toPrecision(10)));
  return ticks;
}
// Lines that only guide the eye widen the range by no more than half of what the measured ones span.
function rangeOf(lines) {
  const values = of => of.flatMap(line => line.y).filter(Number.isFinite);
  const firm = values(lines.filter(line => !line.guide)), loose = values(lines.filter(line => line.guide));
  let low = firm.reduce((a, b) => Math.min(a, b), Infinity), high = firm.reduce((a, b) => Math.max(a, b), -Infinity);
  const room = 0.5 * (high - low || 1);
  const inner = loose.filter(y => y > low - room && y < high + room);
  if (loose.some(y => y <= low - room)) inner.push(low - room);
  low = inner.reduce((a, b) => Math.min(a, b), low); high = inner.reduce((a, b) => Math.max(a, b), high);
  const margin = 0.04 * (high - low) || 0.5;
  return [low - margin, high + margin];
}
let clips = 0;
function chart(title, lines, xLabel, yLabel, options = {}) {
  const width = 395, height = options.height ?? 250, left = 56, bottom = 38, top = 22, right = 18;
  const svg = draw("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  svg.append(draw("text", { x: left, y: 14, class: "head" }, title));
  const positive = lines.flatMap(line => line.y).filter(y => Number.isFinite(y) && y > 0);
  const log = options.maybeLog && positive.length && Math.max(...positive) > 100 * Math.min(...positive)
    && lines.every(line => line.y.every(y => y === null || y >= 0));
  const scaled = log ? lines.map(line => ({ ...line, y: line.y.map(y => y > 0 ? Math.log10(y) : null) })) : lines;
  const xs = scaled.flatMap(line => line.x);
  if (!scaled.some(line => line.y.some(Number.isFinite))) {
    svg.append(draw("text", { x: left, y: height / 2 }, "nothing to draw"));
    return svg;
  }
  const x0 = xs.reduce((a, b) => Math.min(a, b)), x1 = xs.reduce((a, b) => Math.max(a, b)), [y0, y1] = rangeOf(scaled);
  const px = x => left + (x - x0) / (x1 - x0 || 1) * (width - left - right);
  const py = y => height - bottom - (y - y0) / (y1 - y0) * (height - top - bottom);
  const yTicks = log && y1 - y0 > 2 ? niceTicks(y0, y1).filter(Number.isInteger) : niceTicks(y0, y1);
  for (const y of yTicks) {
    svg.append(draw("line", { x1: left, x2: width - right, y1: py(y), y2: py(y), class: y === 0 && !log ? "zero" : "grid" }));
    const label = log ? Number((10 ** y).toPrecision(1)).toString() : minus(String(y));
    svg.append(draw("text", { x: left - 5, y: py(y) + 4, "text-anchor": "end" }, label));
  }
  for (const x of niceTicks(x0, x1)) {
    svg.append(draw("line", { x1: px(x), x2: px(x), y1: height - bottom, y2: height - bottom + 4, stroke: "currentColor" }));
    svg.append(draw("text", { x: px(x), y: height - bottom + 16, "text-anchor": "middle" }, x));
  }
  svg.append(draw("line", { x1: left, x2: width - right, y1: height - bottom, y2: height - bottom, stroke: "currentColor" }));
  svg.append(draw("text", { x: (left + width - right) / 2, y: height - 5, "text-anchor": "middle" }, xLabel));
  svg.append(draw("text", { x: 14, y: (height - bottom + top) / 2, transform: `rotate(-90 14 ${(height - bottom + top) / 2})`,
    "text-anchor": "middle" }, log ? `${yLabel}, log scale` : yLabel));
  const clip = draw("clipPath", { id: `clip${clips}` }), inside = draw("g", { "clip-path": `url(#clip${clips++})` });
  clip.append(draw("rect", { x: left, y: top - 4, width: width - left - right, height: height - top - bottom + 4 }));
  svg.append(clip, inside);
  for (const line of scaled) {
    const points = line.x.map((x, i) => [px(x), line.y[i] === null ? NaN : py(line.y[i])]).filter(point => Number.isFinite(point[1]));
    const path = draw("polyline", { points: points.map(point => point.map(v => v.toFixed(1)).join(",")).join(" "), fill: "none",
      stroke: line.colour, "stroke-width": line.width ?? 1.5, "stroke-dasharray": line.dash || undefined, class: line.kind });
    path.append(draw("title", {}, line.name));
    inside.append(path);
    const every = Math.max(1, Math.ceil(points.length / 9));
    if (line.marker) points.filter((_, i) => i % every === 0).forEach(([cx, cy]) =>
      inside.append(draw("circle", { cx, cy, r: 2.5, class: "hollow", stroke: line.colour })));
  }
  const drawing = make("div", null, { class: "drawing" });
  drawing.append(svg);
  page.readable(drawing, {
    sets: lines.map(line => ({ name: line.name, color: line.colour, dashes: (line.dash || "").split(" ").filter(Boolean).map(dash => dash / 1.8) })),
    axes: [{
      box: [left / width, top / height, 1 - right / width, 1 - bottom / height], title,
      x: { low: x0, high: x1, log: false, label: xLabel }, y: { low: y0, high: y1, log: false, label: yLabel },
      lines: lines.map((line, set) => ({ set, x: line.x, y: line.y })),
    }],
  });
  return drawing;
}
function mapChart(title, image, count) {
  const side = 176, left = 40, top = 20, width = left + side + 14, height = top + side + 36;
  const svg = draw("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  svg.append(draw("image", { href: image, x: left, y: top, width: side, height: side, preserveAspectRatio: "none" }));
  svg.append(draw("rect", { x: left, y: top, width: side, height: side, fill: "none", stroke: "currentColor" }));
  svg.append(draw("text", { x: left, y: 13 }, count));
  for (const [f, place] of [["\u22120.5", 0], ["0", 0.5], ["0.5", 1]]) {
    const x = left + side * place, y = top + side * (1 - place);
    svg.append(draw("line", { x1: x, x2: x, y1: top + side, y2: top + side + 4, stroke: "currentColor" }));
    svg.append(draw("line", { x1: left - 4, x2: left, y1: y, y2: y, stroke: "currentColor" }));
    svg.append(draw("text", { x, y: top + side + 15, "text-anchor": "middle" }, f));
    svg.append(draw("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, f));
  }
  svg.append(draw("text", { x: left + side / 2, y: height - 4, "text-anchor": "middle" }, "cycles per pixel"));
  return svg;
}
function colourBar(node, image, [low, high], label) {
  const width = 420, left = 20, long = 380;
  const svg = draw("svg", { width, height: 46, viewBox: `0 0 ${width} 46`, role: "img", "aria-label": label });
  svg.append(draw("image", { href: image, x: left, y: 2, width: long, height: 12, preserveAspectRatio: "none" }));
  svg.append(draw("rect", { x: left, y: 2, width: long, height: 12, fill: "none", stroke: "currentColor" }));
  for (const value of niceTicks(low, high)) {
    const x = left + long * (value - low) / (high - low);
    svg.append(draw("line", { x1: x, x2: x, y1: 14, y2: 18, stroke: "currentColor" }));
    svg.append(draw("text", { x, y: 29, "text-anchor": "middle" }, minus(String(value))));
  }
  svg.append(draw("text", { x: left + long / 2, y: 43, "text-anchor": "middle" }, label));
  node.replaceChildren(svg);
}
function swatch(look) {
  const svg = draw("svg", { width: 34, height: 12 });
  svg.append(draw("line", { x1: 0, x2: 34, y1: 6, y2: 6, stroke: look.colour, "stroke-width": (look.width ?? 1.5) + 0.5,
    "stroke-dasharray": look.dash || undefined }));
  if (look.marker) svg.append(draw("circle", { cx: 17, cy: 6, r: 3, class: "hollow", stroke: look.colour }));
  return svg;
}
function captioned(node, text, look) {
  const figure = document.createElement("figure"), caption = make("figcaption");
  if (look) caption.append(swatch(look), " ");
  caption.append(text);
  figure.append(node, caption);
  return figure;
}
const titleOf = cell => `${cell.label} · seed ${cell.seed}`;

// One colour a variant (markers after the seventh), one dash a seed.
function chosenRuns() {
  const rows = data.rows.filter(row => picked.has(row.cell)), variants = [], seeds = [];
  return rows.map(row => {
    const cell = data.cells[row.cell];
    if (!variants.includes(cell.label)) variants.push(cell.label);
    if (!seeds.includes(cell.seed)) seeds.push(cell.seed);
    const place = variants.indexOf(cell.label);
    return { name: row.cell, cell, title: titleOf(cell), look: { colour: colours[place % colours.length],
      dash: dashes[seeds.indexOf(cell.seed) % dashes.length], marker: place >= colours.length } };
  });
}
function profileLines(kind, runs, groups, minusReals) {
  const lines = [];
  const add = (name, y, base, look) => lines.push({ name, x: y.map((_, k) => 0.5 * k / (y.length - 1)),
    y: minusReals ? y.map((value, k) => value - base[k]) : y, ...look });
  for (const key of groups) {
    const reals = data.reals[key], base = reals.profiles[kind];
    if (at("with-theory").checked) {
      const operators = new Set(runs.filter(run => run.cell.reals === key).map(run => run.cell.operator));
      Object.entries(reals.theory).filter(([name]) => operators.has(name)).forEach(([name, theory]) =>
        add(`${name} alone (theory)`, theory[kind], base, { ...theoryLook(name), guide: true, kind: "theory" }));
    }
    if (!minusReals) add(`real (${reals.count})`, base, base, { colour: "currentColor", dash: "", width: 2, kind: "real" });
    if (at("with-null").checked && reals.null)
      add("null control", reals.null.profiles[kind], reals.null.against[kind], { ...NULL, kind: "null" });
  }
  for (const run of runs) if (run.cell.profiles)
    add(run.title, run.cell.profiles[kind], data.reals[run.cell.reals].profiles[kind], { ...run.look, kind: "run" });
  return lines;
}
function theoryLook(name) {
  const names = [...new Set(Object.values(data.reals).flatMap(reals => Object.keys(reals.theory)))];
  return { colour: "currentColor", dash: theoryDashes[names.indexOf(name) % theoryDashes.length], width: 1.2 };
}
function showLegend(runs, groups) {
  const entries = [];
  const add = (text, look) => { const span = make("span"); span.append(swatch(look), ` ${text}`); entries.push(span); };
  for (const key of groups) {
    const reals = data.reals[key];
    add(`real (${reals.count})`, { colour: "currentColor", dash: "", width: 2 });
    if (at("with-null").checked && reals.null) add(`null control (${reals.null.counts.join(" reals against ")})`, NULL);
    if (at("with-theory").checked) for (const name of Object.keys(reals.theory))
      if (runs.some(run => run.cell.reals === key && run.cell.operator === name)) add(`${name} alone (theory)`, theoryLook(name));
  }
  for (const run of runs) add(run.title, run.look);
  const axes = make("span", `${runs.length} ticked, named by ${data.axes.join(" \u00B7 ")}:`);
  at("legend").replaceChildren(...(runs.length ? [axes, ...entries] : [make("span", "No run is ticked.")]));
}
function showTheory(runs) {
  const lines = [];
  if (at("with-theory").checked) {
    lines.push("Theory: the reals at half resolution, cut off ideally, enlarged by the generator's last fixed upsampling and by "
      + "nothing else: its closed-form |H|\u00B2 times the repeated spectrum. What a run has beyond that, its learned layers made.");
    const without = [...new Set(runs.filter(run => !run.cell.predicted && run.cell.profiles).map(run => run.cell.operator ?? "unknown"))];
    if (without.length) lines.push(`No theory curve for ${without.join(", ")}: learned, or dependent on position, so that no response is known `
      + "before its weights are.");
  }
  at("about-theory").replaceChildren(...lines.map(text => make("p", text)));
}
function showMaps(runs, groups) {
  const entry = (title, image, count, look) => captioned(mapChart(title, image, `${count} images`), title, look);
  at("maps").replaceChildren(
    ...groups.filter(key => data.reals[key].map).map(key =>
      entry("real", data.reals[key].map, data.reals[key].map_count, { colour: "currentColor", width: 2 })),
    ...runs.filter(run => run.cell.map).map(run => entry(run.title, run.cell.map, run.cell.map_count, run.look)));
  at("map-differences").replaceChildren(
    ...groups.filter(key => data.reals[key].null).map(key =>
      entry("null control", data.reals[key].null.difference, data.reals[key].null.counts[0], NULL)),
    ...runs.filter(run => run.cell.difference).map(run => entry(run.title, run.cell.difference, run.cell.map_count, run.look)));
}
function showSamples(runs, groups) {
  const entry = (title, source, look) => {
    const image = make("img", null, { src: source, alt: `samples of ${title}` });
    image.addEventListener("load", () => { image.width = Math.min(560, 2 * image.naturalWidth); });
    return captioned(image, title, look);
  };
  at("samples").replaceChildren(
    ...groups.filter(key => data.reals[key].samples).map(key => entry("real", data.reals[key].samples, { colour: "currentColor", width: 2 })),
    ...runs.filter(run => run.cell.samples).map(run => entry(run.title, run.cell.samples, run.look)));
}
const ofTraining = name => name.includes("gradient_ratio") ? 2 : name.endsWith("/adversarial") ? 0 : 1;
function showCurves(runs) {
  const names = [...new Set(runs.flatMap(run => Object.keys(run.cell.curves)))].sort((a, b) => ofTraining(a) - ofTraining(b));
  at("curves").replaceChildren(...names.map(name => chart(name, runs.filter(run => run.cell.curves[name]).map(run =>
    ({ name: run.title, ...run.cell.curves[name], ...run.look, kind: "run" })), "step",
    name.includes("gradient_ratio") ? "ratio" : name.endsWith("/distance") ? "distance" : "loss",
    { maybeLog: !name.endsWith("/adversarial"), height: 220 })));
}
function showMissing(runs) {
  at("missing").replaceChildren(...runs.flatMap(run => [make("h3", run.title),
    ...run.cell.missing.map(text => make("p", `Missing: ${text}`)), make("pre", run.cell.commands.join("\n"))]));
}
function show() {
  const runs = chosenRuns();
  const groups = [...new Set(runs.map(run => run.cell.reals).filter(Boolean))];
  showLegend(runs, groups);
  showTheory(runs);
  for (const [node, minusReals] of [[at("profiles"), false], [at("differences"), true]])
    node.replaceChildren(...KINDS.map(kind => chart(KIND_TITLES[kind] + (minusReals ? ", minus the reals" : ""),
      profileLines(kind, runs, groups, minusReals), "frequency (cycles per pixel)", minusReals ? "difference (dB)" : "mean power (dB)")));
  showMaps(runs, groups);
  showSamples(runs, groups);
  showCurves(runs);
  showMissing(runs);
}
function box(row) {
  const td = make("td", null, { class: "pick" });
  const input = make("input", null, { type: "checkbox", "aria-label": `show ${row.cell}`, "data-cell": row.cell });
  input.checked = picked.has(row.cell);
  input.addEventListener("change", () => { picked[input.checked ? "add" : "delete"](row.cell); show(); });
  td.append(input);
  return td;
}

const runs = table(at("runs"), data.columns, data.rows, {
  filter: at("filter"), first: box, foot: nullRows, cell: (row, name) => data.metrics.includes(name) ? measured(row, name) : plain(row, name),
  after: count => { at("count").textContent = `${count} of ${data.rows.length} runs`; },
});
function repick(change) { change(); runs.refresh(); show(); }
at("pick-shown").addEventListener("click", () => repick(() => runs.visible().forEach(row => picked.add(row.cell))));
at("pick-none").addEventListener("click", () => repick(() => picked.clear()));
at("pick-seeds").addEventListener("click", () => repick(() => {
  const labels = new Set([...picked].map(name => data.cells[name].label));
  data.rows.filter(row => labels.has(data.cells[row.cell].label)).forEach(row => picked.add(row.cell));
}));
for (const node of [at("with-null"), at("with-theory")]) node.addEventListener("change", show);
at("about-samples").textContent = `The first ${data.scales.samples} of each, at most; drawn twice as large, without smoothing.`;
colourBar(at("level-bar"), data.scales.level_bar, data.scales.level, "mean power (dB)");
colourBar(at("difference-bar"), data.scales.difference_bar, data.scales.difference, "difference to the reals (dB)");
show();
