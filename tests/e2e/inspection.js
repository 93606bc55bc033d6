// What is wrong with the page that is shown, in sentences; the page itself is left as it is.
// With `atLeast`, whatever can be pressed or filled in has to be as many pixels high.
(atLeast) => {
  const found = [];
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const line = (element) => element.outerHTML.replace(/\s+/g, " ").slice(0, 120);
  const complain = (sentence, elements) => elements.forEach((element) => found.push(`${sentence}: ${line(element)}`));
  const text = (element) => element.textContent.replace(/\s+/g, " ").trim();
  const hasName = (element) =>
    (element.getAttribute("aria-label") ?? "").trim() !== "" ||
    (element.getAttribute("aria-labelledby") ?? "").split(" ").some((id) => id && document.getElementById(id)) ||
    all(":scope > title", element).some((title) => text(title));

  // Nothing inline
  complain("has an inline style", all("[style], style"));
  complain("has an inline script", all("script:not([src])"));
  complain("has a handler", all("*").filter((element) => element.getAttributeNames().some((name) => /^(data-)?(on|hx-on)/.test(name))));
  complain("leads to a script", all("[href^='javascript:' i], [action^='javascript:' i], [src^='javascript:' i]"));
  complain("is not the server's", all("[src], link[href]").filter((element) => new URL(element.src ?? element.href, location).origin !== location.origin));

  // Landmarks and names
  if (!document.documentElement.lang) found.push("has no language");
  if (!document.title.trim()) found.push("has no title");
  for (const landmark of ["h1", "main"]) {
    const count = all(landmark).length;
    if (count !== 1) found.push(`has ${count} × ${landmark}`);
  }
  const ids = all("[id]").map((element) => element.id);
  complain("has the id of another", all("[id]").filter((element) => ids.filter((id) => id === element.id).length > 1));
  complain("is a picture without a name", all("img:not([alt])").filter((image) => !hasName(image)));
  complain(
    "is a drawing that is neither hidden nor named",
    all("svg:not(svg svg)").filter((drawing) => !drawing.closest("[aria-hidden=true]") && !(drawing.getAttribute("role") === "img" && hasName(drawing))),
  );
  complain(
    "points at nothing",
    all("[aria-labelledby], [aria-describedby], label[for]").filter((element) =>
      ["aria-labelledby", "aria-describedby", "for"].some((name) =>
        (element.getAttribute(name) ?? "").split(/\s+/).some((id) => id && !document.getElementById(id)))),
  );
  complain("is a form without an address or a method", all("form:not([action]), form:not([method])"));
  complain("is a button outside any form, without a type", all("button:not([type])").filter((button) => !button.form));

  // Room
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) {
    found.push(`is ${scrollWidth} pixels wide in a window of ${clientWidth}`);
    complain("sticks out", all("body *").filter((element) => element.getBoundingClientRect().right > clientWidth + 1).slice(0, 3));
  }
  if (atLeast) complain(`is less than ${atLeast} pixels high`, all("a[href], button, input, select, textarea, summary").filter(isSmall));

  function isSmall(element) {
    if (element.type === "hidden" || !element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return false;
    if (element.closest(".skip, .unseen") || isInRunningText(element)) return false;
    const boxes = ["checkbox", "radio"].includes(element.type) ? [element, ...element.labels] : [element];
    return Math.max(...boxes.map((box) => box.getBoundingClientRect().height)) < atLeast - 0.5 && reach(element) < atLeast;
  }

  // How high the area is that presses the element, which may be larger than its box: a card that is a link as a whole.
  function reach(element) {
    const [left, top] = [scrollX, scrollY];
    element.scrollIntoView({ block: "center", behavior: "instant" });
    const box = element.getBoundingClientRect();
    const [x, y] = [box.left + Math.min(box.width / 2, 20), box.top + box.height / 2];
    const isHit = (at) => element.contains(document.elementFromPoint(x, at));
    let [above, below] = [0, 0];
    while (above < atLeast && isHit(y - above - 1)) above++;
    while (below < atLeast && isHit(y + below)) below++;
    scrollTo({ left, top, behavior: "instant" });
    return above + below;
  }

  // As WCAG 2.2 has it in 2.5.8: where the height of a line of text bounds it.
  function isInRunningText(element) {
    return element.matches("a") && getComputedStyle(element).display === "inline" && text(element.parentElement) !== text(element);
  }

  return [...new Set(found)];
};
