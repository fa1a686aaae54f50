"use strict";
// Tables that sort by a click on a heading, and data that can be copied as CSV.  Without it the page lacks only these.

function key(cell) {
  const text = cell.innerText.trim();
  const found = text.replace(/−/g, "-").replace(/(\d) (?=\d{3})/g, "$1").match(/^[<>≥≤ ]*([+-]?\d[\d.]*(?:e[+-]?\d+)?)/i);
  return cell.classList.contains("n") ? (found ? Number(found[1]) : null) : text;
}

function compared(a, b) {
  if (a === null || b === null) return (a === null) - (b === null); // empty cells come last
  return typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
}

function sort(table, column) {
  const headings = [...table.tHead.rows[0].cells];
  const down = headings[column].getAttribute("aria-sort") === "ascending";
  const rows = [...table.tBodies[0].rows].map((row) => [key(row.cells[column]), row]);
  rows.sort(([a], [b]) => (down && a !== null && b !== null ? compared(b, a) : compared(a, b)));
  table.tBodies[0].append(...rows.map(([, row]) => row));
  headings.forEach((heading) => heading.removeAttribute("aria-sort"));
  headings[column].setAttribute("aria-sort", down ? "descending" : "ascending");
}

for (const table of document.querySelectorAll("table")) {
  if (table.tBodies[0].rows.length < 2) continue;
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    if (heading.tagName !== "TH") return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sort(table, column));
    heading.append(button);
  });
}

function csv(table) {
  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);
  return [...table.rows].map((row) => [...row.cells].map((cell) => quoted(cell.innerText.trim())).join(",")).join("\n") + "\n";
}

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea"); // browsers that give a page from the disk no clipboard
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

for (const data of document.querySelectorAll(".data")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy as CSV";
  button.addEventListener("click", async () => {
    await copy(csv(data.querySelector("table")));
    button.textContent = "Copied";
  });
  data.querySelector("summary").after(button);
}
