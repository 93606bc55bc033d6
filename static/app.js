// What live pages do beyond swapping parts: count down by the server's clock; say when the stream is lost and when it is
// back, and ask for the page meanwhile; and have screen readers told what has changed for people, but not every number.
(() => {
  const POLL_EVERY_MS = 30_000;
  const SAY_SO_AFTER_MS = 1_500; // a page that is being left loses its stream as well
  const SAY_FOR_MS = 5_000;
  const LOST = "Live updates are interrupted. Trying to get them back…";
  const BACK = "Live again.";
  const UNREACHED = "The server could not be reached. Please try again: asking twice does no harm.";
  const UNITS = [["day", "days", 86_400], ["h", "h", 3_600], ["min", "min", 60], ["s", "s", 1]];

  const connection = document.getElementById("connection");
  const announcement = document.getElementById("announcement");
  let lost = null; // the timers that run while the stream is lost
  let said = announcements();
  let ahead = null; // milliseconds by which the server's clock is ahead of ours, once it is known
  let ticking = null;

  // The stream

  function streamOpen(event) {
    event.detail.source.addEventListener("clock", readClock); // the same one again where it is the same source
    if (!lost) return;
    clearTimeout(lost.saying);
    clearInterval(lost.polling);
    lost = null;
    if (connection.textContent) sayForAWhile(BACK);
  }

  function streamLost() {
    lost ??= { saying: setTimeout(() => (connection.textContent = LOST), SAY_SO_AFTER_MS), polling: setInterval(poll, POLL_EVERY_MS) };
  }

  function sayForAWhile(text) {
    connection.textContent = text;
    setTimeout(() => {
      if (connection.textContent === text) connection.textContent = lost ? LOST : "";
    }, SAY_FOR_MS);
  }

  async function poll() {
    const page = document.querySelector("[data-page]")?.dataset.page;
    if (!page || document.hidden) return;
    const answer = await fetch(page, { headers: { "Fairlist-Poll": "1" } }).catch(() => null);
    if (!answer?.ok || !lost) return;
    const date = Date.parse(answer.headers.get("Date"));
    if (date) ahead ??= date - Date.now();
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[sse-swap][id]")) {
      // What the page has no longer names what stands for it now: a form's button, the section that says why it is gone.
      const newer = fresh.getElementById(part.id) ?? fresh.getElementById(part.dataset.else);
      const swapStyle = part.getAttribute("hx-swap") ?? "innerHTML";
      if (newer) htmx.swap(part, swapStyle === "outerHTML" ? newer.outerHTML : newer.innerHTML, { swapStyle }, { contextElement: part });
    }
    partsChanged();
  }

  function partsChanged() {
    countDown();
    announce();
  }

  // What screen readers are told

  function announcements() {
    return [...document.querySelectorAll("[data-announce]")].map((part) => part.textContent.trim());
  }

  function announce() {
    const now = announcements();
    const news = now.filter((sentence) => !said.includes(sentence));
    said = now;
    if (news.length) announcement.textContent = news.join(" ");
  }

  // Countdowns: <time data-countdown="milliseconds since 1970"> says when, and gets beside it how long that is from now

  function readClock(event) {
    ahead = Number(event.data) - Date.now();
    countDown();
  }

  function countDown() {
    clearTimeout(ticking);
    const times = document.querySelectorAll("time[data-countdown]");
    if (ahead === null || !times.length) return;
    const now = Date.now() + ahead;
    for (const time of times) countdownIn(time).textContent = timeLeft(Number(time.dataset.countdown) - now);
    ticking = setTimeout(countDown, 1_000 - (now % 1_000));
  }

  function countdownIn(time) {
    const found = time.querySelector(".countdown");
    if (found) return found;
    const exact = document.createElement("span");
    const countdown = document.createElement("span");
    exact.className = "exact";
    countdown.className = "countdown";
    countdown.setAttribute("aria-hidden", "true"); // or it would be read out every second
    exact.append(...time.childNodes);
    time.append(exact, " ", countdown);
    return countdown;
  }

  function timeLeft(ms) {
    const seconds = Math.ceil(ms / 1_000);
    const first = UNITS.findIndex(([, , size]) => seconds >= size);
    if (first < 0) return "now";
    const parts = [];
    let rest = seconds;
    for (const [one, many, size] of UNITS.slice(first, first + 2)) {
      const count = Math.floor(rest / size);
      if (count) parts.push(`${count} ${count === 1 ? one : many}`);
      rest -= count * size;
    }
    return `in ${parts.join(" ")}`;
  }

  // Buttons that only scripts can serve: copying an address, and taking the time zone of this device

  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      sayForAWhile("Copied.");
    });
  }

  for (const button of document.querySelectorAll("[data-zone]")) {
    const field = document.getElementById(button.dataset.zone);
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    button.querySelector("b").textContent = zone;
    button.hidden = !zone || zone === field.value;
    button.addEventListener("click", () => {
      field.value = zone;
      button.hidden = true;
      field.focus();
    });
  }

  document.addEventListener("htmx:sseError", streamLost);
  document.addEventListener("htmx:sseOpen", streamOpen);
  document.addEventListener("htmx:sseMessage", partsChanged);
  document.addEventListener("htmx:afterSettle", partsChanged);
  // A scanner may type the next code while the one before is under way: its field is empty at once, and keeps the focus.
  function send(event) {
    const form = event.target;
    const field = form.querySelector("[data-emptied]");
    if (!field?.value || event.submitter?.name) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const typed = field.value;
    field.value = "";
    htmx.ajax("POST", form.action, { source: form, values: { [field.name]: typed } }).catch(() => (field.value ||= typed));
  }

  document.addEventListener("submit", send, true);
  document.addEventListener("htmx:afterSwap", ({ detail }) => document.getElementById(detail.target?.dataset.then)?.focus());
  document.addEventListener("htmx:sendError", () => sayForAWhile(UNREACHED));
})();
