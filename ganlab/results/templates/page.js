"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
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
