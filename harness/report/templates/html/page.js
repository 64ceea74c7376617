"use strict";
(() => {
  const NUMBER = /^[\s[(≈×~<>≤≥]*([-+−]?(?:\d[\d,]*)?\.?\d+(?:e[-+−]?\d+)?)/i;
  const MISSING = new Set(["", "-", "–", "—"]);

  function numberOf(text) {
    const found = NUMBER.exec(text);
    return found ? Number(found[1].replace(/−/g, "-").replace(/,/g, "")) : NaN;
  }

  // By row; what is missing comes last in both directions.
  function keysOf(rows, column) {
    const texts = rows.map((row) => row.cells[column].textContent.trim());
    const numbers = texts.map(numberOf);
    const present = texts.filter((text) => !MISSING.has(text)).length;
    const isNumeric = 2 * numbers.filter((value) => !Number.isNaN(value)).length > present;
    return new Map(rows.map((row, index) => {
      const [text, number] = [texts[index], numbers[index]];
      const isLast = MISSING.has(text) || (isNumeric && Number.isNaN(number));
      return [row, { text, number, isLast, isNumeric }];
    }));
  }

  function compare(a, b) {
    return a.isNumeric ? a.number - b.number : a.text.localeCompare(b.text, document.documentElement.lang, { numeric: true });
  }

  function sort(table, column, direction) {
    const body = table.tBodies[0];
    const rows = [...body.rows].sort((a, b) => a.dataset.place - b.dataset.place);
    if (direction) {
      const keys = keysOf(rows, column);
      rows.sort((a, b) => {
        const [left, right] = [keys.get(a), keys.get(b)];
        return left.isLast - right.isLast || (left.isLast ? 0 : direction * compare(left, right));
      });
    }
    body.append(...rows);
  }

  function makeSortable(table) {
    const body = table.tBodies[0];
    if (!body || body.rows.length < 2) return;
    [...body.rows].forEach((row, index) => { row.dataset.place = index; });
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const turn = { null: 1, ascending: -1, descending: 0 }[head.getAttribute("aria-sort")];
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        if (turn) head.setAttribute("aria-sort", turn > 0 ? "ascending" : "descending");
        sort(table, column, turn);
      });
    });
  }

  function makeEnlargeable(dialog) {
    const [title, button, box, image] = ["span", "button", "div", "img"].map((name) => dialog.querySelector(name));
    for (const link of document.querySelectorAll("figure a[href^='#']:not(.close)")) {
      link.addEventListener("click", (event) => {
        event.preventDefault();
        const shown = link.querySelector("img");
        image.src = shown.src;
        image.alt = shown.alt;
        image.classList.remove("whole");
        title.textContent = shown.alt;
        dialog.showModal();
        box.focus();
      });
    }
    button.addEventListener("click", () => dialog.close());
    box.addEventListener("click", (event) => {
      if (event.target === box) dialog.close();
    });
    image.addEventListener("click", () => image.classList.toggle("whole"));
  }

  document.querySelectorAll("main table").forEach(makeSortable);
  makeEnlargeable(document.querySelector("dialog"));
})();
