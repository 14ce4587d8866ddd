"use strict";
// Of every page: a hint where a table scrolls sideways, colors, and the day on which the page was written.

const byId = (id) => document.getElementById(id);

const overflow = new ResizeObserver((changes) => changes.forEach(({ target }) => {
  const box = target.closest(".wide");
  box.classList.toggle("overflows", box.scrollWidth > box.clientWidth);
}));
for (const box of document.querySelectorAll(".wide")) [box, ...box.children].forEach((part) => overflow.observe(part));

// Colors: the system's, until the reader chooses.

const THEMES = { system: ["◐ System", "as the system"], light: ["☀ Light", "light"], dark: ["☾ Dark", "dark"] };

function setTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId("theme").textContent = THEMES[theme][0];
  byId("theme").setAttribute("aria-label", `Colors: ${THEMES[theme][1]}`);
}

byId("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  setTheme(names[(names.indexOf(document.documentElement.dataset.theme ?? "system") + 1) % names.length]);
});

if (byId("written")) { // its file's day
  byId("written").textContent = new Date(document.lastModified).toLocaleDateString("sv"); // 2026-01-31
  byId("written").parentElement.hidden = false;
}
