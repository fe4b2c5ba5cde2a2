// What a page does by itself: its live part is brought up to date, a code is copied, a sheet is printed. All works without.
"use strict";
(function () {
  const live = document.querySelector("[data-refresh]");
  async function refresh() {
    try {
      // A page that nobody looks at asks for nothing, and nobody is disturbed who has opened or marked something.
      const busy = document.hidden || live.querySelector("details[open]") || String(getSelection());
      const answer = busy ? null : await fetch(location.href, { signal: AbortSignal.timeout(10000) });
      if (answer && answer.ok && !answer.redirected) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.getElementById(live.id);
        if (fresh) live.replaceChildren(...fresh.childNodes);
      }
    } catch (gone) {
      // The next turn asks again.
    }
    setTimeout(refresh, Number(live.dataset.refresh) * 1000);
  }
  if (live) setTimeout(refresh, Number(live.dataset.refresh) * 1000);

  document.querySelectorAll("[data-print]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  });
  document.querySelectorAll("[data-copy]").forEach((button) => {
    if (!navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = button.dataset.copied;
    });
  });
  // One form at a time: who opens the next has left the last.
  document.querySelectorAll(".acts").forEach((row) => {
    row.addEventListener("toggle", (event) => {
      if (!event.target.open) return;
      row.querySelectorAll("details[open]").forEach((other) => { if (other !== event.target) other.open = false; });
    }, true);
  });
})();
