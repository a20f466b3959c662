// The table of the atlas: headings become buttons that sort it, and a form filters it. Rows are moved, never made.
"use strict";
(() => {
  const form = document.querySelector("form");
  const table = document.querySelector("table[aria-labelledby=table]");
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  const names = heads.map((head) => head.textContent);
  const place = (name) => names.indexOf(name);
  const rows = [...body.rows].map((row, number) => ({
    row, number,
    keys: [...row.cells].map((cell) => cell.dataset.sort),
    text: row.textContent.toLowerCase(),
  }));
  const { search, family, framework, column, descending } = form.elements;

  // numbers by size, words by the alphabet; what has nothing to sort by comes last either way
  const compare = (a, b, sign) => {
    if (a === b) return 0;
    if (a === "" || b === "") return a === "" ? 1 : -1;
    return sign * (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);
  };
  const show = () => {
    const by = column.value, sign = descending.checked ? -1 : 1;
    const sorted = [...rows].sort((a, b) => (by && compare(a.keys[by], b.keys[by], sign)) || sign * (a.number - b.number));
    body.append(...sorted.map((each) => each.row));
    heads.forEach((head, i) => {
      if (String(i) === by) head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    const words = search.value.toLowerCase().split(" ");
    let shown = 0;
    for (const { row, keys, text } of rows) {
      row.hidden = !(
        words.every((word) => text.includes(word)) &&
        ["", keys[place("family")]].includes(family.value) &&
        ["", keys[place("framework")]].includes(framework.value)
      );
      shown += !row.hidden;
    }
    form.querySelector("output").textContent = `${shown} of ${rows.length} shown`;
  };

  heads.forEach((head, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => {
      descending.checked = column.value === String(i) && !descending.checked;
      column.value = String(i);
      show();
    });
    head.replaceChildren(button);
  });
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  show();
})();
