// What live pages do beyond swapping parts: say when the stream is lost and when it is back, ask for the page
// meanwhile, and while it waits for booking to open; and have screen readers told what has changed for people, but not
// every number.
(() => {
  const POLL_EVERY_MS = 30_000;
  const LOOK_EVERY_MS = 20_000;
  const SAY_SO_AFTER_MS = 1_500; // a page that is being left loses its stream as well
  const SAY_FOR_MS = 5_000;
  const LOST = "Live updates are interrupted. Trying to get them back…";
  const BACK = "Live again.";
  const UNREACHED = "The server could not be reached. Please try again: asking twice does no harm.";

  const connection = document.getElementById("connection");
  const announcement = document.getElementById("announcement");
  let lost = null; // the timers that run while the stream is lost
  let said = announcements();

  function streamLost() {
    lost ??= { saying: setTimeout(() => (connection.textContent = LOST), SAY_SO_AFTER_MS), polling: setInterval(poll, POLL_EVERY_MS) };
  }

  function streamBack() {
    if (!lost) return;
    clearTimeout(lost.saying);
    clearInterval(lost.polling);
    lost = null;
    if (connection.textContent) sayForAWhile(BACK);
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
    const answer = await fetch(page).catch(() => null);
    if (!answer?.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[sse-swap][id]")) {
      const newer = fresh.getElementById(part.id);
      if (newer) part.replaceChildren(...newer.childNodes);
    }
    for (const part of document.querySelectorAll("[data-poll][id]")) {
      const newer = fresh.getElementById(part.id);
      if (!newer || newer.isEqualNode(part)) continue;
      part.replaceWith(newer);
      htmx.process(newer);
    }
    announce();
  }

  function announcements() {
    return [...document.querySelectorAll("[data-announce]")].map((part) => part.textContent.trim());
  }

  function announce() {
    const now = announcements();
    const news = now.filter((sentence) => !said.includes(sentence));
    said = now;
    if (news.length) announcement.textContent = news.join(" ");
  }

  setInterval(() => document.querySelector("[data-poll]") && poll(), LOOK_EVERY_MS);
  document.addEventListener("htmx:sseError", streamLost);
  document.addEventListener("htmx:sseOpen", streamBack);
  document.addEventListener("htmx:sseMessage", announce);
  document.addEventListener("htmx:afterSettle", announce);
  document.addEventListener("htmx:sendError", () => sayForAWhile(UNREACHED));
})();
