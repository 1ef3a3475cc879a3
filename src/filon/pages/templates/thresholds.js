// The threshold slider: every number it shows was counted by Filon; here they are only picked and divided.
(() => {
  const card = document.getElementById("thresholds");
  const rows = JSON.parse(card.dataset.rows); // [threshold, tn, fp, fn, tp], ascending
  const start = Number(card.dataset.start);
  const slider = card.querySelector("input[type=range]");
  const shown = card.querySelector("output");
  const lang = document.documentElement.lang;
  const number = (value, digits) => value.toLocaleString(lang, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const share = (top, bottom) => (bottom > 0 ? number((100 * top) / bottom, 1) + (lang === "es" ? "\u202f%" : "%") : "–");
  const cost = (name) => Math.max(0, Number(card.querySelector(`[data-cost=${name}]`).value) || 0);
  const price = ([, tn, fp, fn, tp]) => (1000 * (cost("miss") * fn + cost("alarm") * fp)) / (tn + fp + fn + tp);
  const out = (name, text) => { card.querySelector(`[data-out=${name}]`).textContent = text; };
  const cell = (at, count, total) => {
    const found = document.querySelector(`[data-cell="${at}"]`);
    if (!found) return;
    const part = total > 0 ? count / total : 0;
    found.querySelector("b").textContent = number(count, 0);
    found.querySelector("small").textContent = share(count, total);
    found.style.background = `rgba(var(--heat),${(0.06 + 0.84 * part).toFixed(2)})`;
    found.classList.toggle("dark", part > 0.55);
  };
  const show = () => {
    const row = rows[Number(slider.value)];
    const [threshold, tn, fp, fn, tp] = row;
    shown.textContent = number(threshold, 3);
    slider.setAttribute("aria-valuetext", shown.textContent);
    out("precision", share(tp, tp + fp));
    out("recall", share(tp, tp + fn));
    out("f1", share(2 * tp, 2 * tp + fp + fn));
    out("accuracy", share(tp + tn, tn + fp + fn + tp));
    out("called", share(tp + fp, tn + fp + fn + tp));
    out("fn", number(fn, 0));
    out("fp", number(fp, 0));
    out("cost", number(price(row), price(row) < 100 ? 1 : 0));
    cell("00", tn, tn + fp); cell("01", fp, tn + fp); cell("10", fn, fn + tp); cell("11", tp, fn + tp);
  };
  const go = (at) => { slider.value = at; show(); };
  slider.addEventListener("input", show);
  card.querySelectorAll("[data-cost]").forEach((input) => input.addEventListener("input", show));
  card.querySelector("[data-go=start]").addEventListener("click", () => go(start));
  card.querySelector("[data-go=cheapest]").addEventListener("click", () => {
    go(rows.reduce((best, row, at) => (price(row) < price(rows[best]) ? at : best), 0));
  });
  show();
})();
