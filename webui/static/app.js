// The change page: asks what has become of the change, and shows its secret wherever the page can be reached.
"use strict";
(function () {
  const box = document.querySelector("[data-change]");
  if (!box) return;
  const text = box.querySelector("[data-text]");
  const left = box.querySelector("[data-left]");
  const secret = box.dataset.secret || location.hash.slice(1);
  const where = box.dataset.where || location.origin;
  const proof = box.querySelector("[data-proof]");
  let until = Date.now() + Number(box.dataset.seconds) * 1000;
  let began = Date.now();
  const moves = where !== location.origin;

  function show(words) {
    if (text.textContent !== words) text.textContent = words;
  }
  function end(state, words) {
    show(words);
    box.dataset.change = state;
    left.hidden = true;
    if (proof) proof.hidden = true;
    box.querySelectorAll("[data-after]").forEach((one) => { one.hidden = false; });
  }
  async function post(path) {
    // An address that was taken away does not refuse: it says nothing.
    const answer = await fetch(path, {
      method: "POST", body: new URLSearchParams({ secret: secret }), signal: AbortSignal.timeout(2000),
    });
    return answer.json();
  }
  function count(words, seconds) {
    left.textContent = words.replace("#", String(seconds));
  }
  // Nothing is applied yet: the time to confirm has not begun, and no address has moved.
  function proving(seconds) {
    until = Date.now() + Number(box.dataset.seconds) * 1000;
    began = Date.now();
    count(left.dataset.proving, seconds);
    proof.value = proof.max - seconds;
  }
  async function turn() {
    let told = null;
    try {
      told = await post(moves ? "/state" : "/keep");
    } catch (gone) {
      told = null;
    }
    if (told && ["kept", "undone", "refused"].includes(told.state)) return end(told.state, told.text);
    if (told) show(told.text);
    const waits = Boolean(told && told.state === "proving" && proof);
    if (proof) proof.hidden = !waits;
    if (waits) proving(told.seconds);
    else count(left.dataset.words, Math.max(0, Math.round((until - Date.now()) / 1000)));
    // The old address falls silent when the new one is there: follow it.
    if (moves && Date.now() - began > 3500 && (!told || told.state === "waiting")) {
      location.replace(where + "/keep#" + secret);
      return;
    }
    if (Date.now() > until + 10000) return end("undone", box.dataset.late);
    setTimeout(turn, 1000);
  }
  turn();
})();
