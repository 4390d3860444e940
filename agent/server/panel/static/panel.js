// What the pages do beyond HTML and htmx: copy buttons, colour scheme, the menu on a phone, the two views of a form.
"use strict";

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    const source = document.getElementById(copy.dataset.copy);
    const said = copy.querySelector("[data-said]") || copy;
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      said.textContent = "Copied";
    } catch {
      const range = document.createRange();
      range.selectNodeContents(source);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      said.textContent = "Press Ctrl+C";
    }
    setTimeout(() => { said.textContent = "Copy"; }, 2500);
  }
  const scheme = event.target.closest("[data-scheme-choice]");
  if (scheme) {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const now = document.documentElement.dataset.scheme || (dark ? "dark" : "light");
    const next = now === "dark" ? "light" : "dark";
    document.documentElement.dataset.scheme = next;
    document.cookie = `scheme=${next}; path=/; max-age=31536000; samesite=strict`;
  }
  const menu = event.target.closest("[data-menu]");
  if (menu) {
    const side = document.querySelector(".side");
    const open = side.dataset.open !== "true";
    side.dataset.open = String(open);
    menu.setAttribute("aria-expanded", String(open));
  }
});

// Parts that depend on a choice: data-shown-when="mode=on-premise". Without this file they are all shown.
function follow(form) {
  for (const part of form.querySelectorAll("[data-shown-when]")) {
    const [name, wanted] = part.dataset.shownWhen.split("=");
    const chosen = form.querySelector(`[name="${name}"]:checked`);
    part.hidden = !chosen || chosen.value !== wanted;
  }
}

document.addEventListener("change", (event) => {
  if (event.target.form) follow(event.target.form);
});

function begin(root) {
  for (const form of root.querySelectorAll("form")) follow(form);
}

document.querySelector(".side")?.classList.add("has-script");
begin(document);
document.addEventListener("htmx:afterSwap", (event) => begin(event.target));

// A fragment that was refused (session over, say) is shown as the page that it is.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.status === 422) event.detail.shouldSwap = true;
});

// A secret that was shown is gone when its page is left, also from the copy that a browser keeps for "back".
addEventListener("pagehide", () => {
  for (const part of document.querySelectorAll("[data-shown-once]")) part.replaceChildren();
});
addEventListener("pageshow", (event) => {
  if (event.persisted && document.querySelector("[data-shown-once]")) location.reload();
});
