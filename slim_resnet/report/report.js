"use strict";
(function () {
  const table = document.getElementById("end-points-table");
  const body = table.tBodies[0];
  const headers = Array.from(table.tHead.rows[0].cells);
  const search = document.getElementById("search");
  const level = document.getElementById("level");
  const count = document.getElementById("count");
  const rows = Array.from(body.rows);

  // A cell without data-value is not known and stays last, whichever way rows are sorted.
  function compare(a, b, numeric) {
    if (a === undefined || b === undefined) {
      return null;
    }
    return numeric ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true });
  }

  function sort(column) {
    const header = headers[column];
    const descending = header.getAttribute("aria-sort") === "ascending";
    const numeric = header.classList.contains("number");
    headers.forEach(function (other) {
      other.setAttribute("aria-sort", "none");
    });
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    rows.sort(function (one, other) {
      const a = one.cells[column].dataset.value;
      const b = other.cells[column].dataset.value;
      const order = compare(a, b, numeric);
      if (order === null) {
        return (a === undefined) - (b === undefined);
      }
      return descending ? -order : order;
    });
    body.append.apply(body, rows);
  }

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach(function (row) {
      const text = row.textContent.toLowerCase();
      row.hidden = !(level.value === "" || row.dataset.level === level.value) ||
        !words.every(function (word) { return text.includes(word); });
      shown += row.hidden ? 0 : 1;
    });
    count.textContent = shown + " of " + rows.length + " end points";
  }

  // Without a script there is nothing to press.
  headers.forEach(function (header, column) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = header.textContent;
    button.addEventListener("click", function () { sort(column); });
    header.replaceChildren(button);
  });
  search.addEventListener("input", filter);
  level.addEventListener("change", filter);
  document.getElementById("controls").hidden = false;
  // For browsers whose styles cannot open what is closed.
  const closed = Array.from(document.querySelectorAll("details:not([open])"));
  window.addEventListener("beforeprint", function () {
    closed.forEach(function (one) { one.dataset.closed = one.open ? "" : "yes"; one.open = true; });
  });
  window.addEventListener("afterprint", function () {
    closed.forEach(function (one) { one.open = one.dataset.closed !== "yes"; });
  });
  filter();
})();
