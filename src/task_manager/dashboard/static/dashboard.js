// What the browser does by itself: theme, drawer, copying, counting time on.
(() => {
  const root = document.documentElement;
  const themes = ["auto", "light", "dark"];
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => localStorage.getItem("theme") ?? "auto";

  function applyTheme() {
    const choice = chosen();
    const dark = choice === "dark" || (choice === "auto" && system.matches);
    root.dataset.theme = dark ? "dark" : "light";
    globalThis.Quasar?.Dark?.set(dark);
    for (const button of document.querySelectorAll("[data-theme-button]")) {
      button.setAttribute("aria-label", `Theme: ${choice}. Change it.`);
      const text = button.querySelector("span");
      if (text?.firstChild) text.firstChild.nodeValue = `Theme: ${choice}`;
    }
  }

  function setDrawer(open) {
    root.classList.toggle("drawer-open", open);
    const menu = document.querySelector(".menu");
    menu?.setAttribute("aria-expanded", String(open));
    if (open) document.querySelector(".places a")?.focus();
  }

  document.addEventListener("click", (event) => {
    const target = event.target;
    const drawer = target.closest?.("[data-drawer]");
    if (drawer) setDrawer(drawer.dataset.drawer === "toggle" && !root.classList.contains("drawer-open"));
    if (target.closest?.("[data-theme-button]")) {
      localStorage.setItem("theme", themes[(themes.indexOf(chosen()) + 1) % themes.length]);
      applyTheme();
    }
    const copy = target.closest?.("[data-copy]");
    if (copy) {
      navigator.clipboard?.writeText(copy.dataset.copy);
      copy.classList.add("copied");
      setTimeout(() => copy.classList.remove("copied"), 1200);
    }
    const row = target.closest?.("tr[data-href]");
    if (row && !target.closest("a, button, input, label") && !String(getSelection())) location.href = row.dataset.href;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") setDrawer(false);
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const tab = event.target.closest?.("[role=tab]");
    if (step && tab) {
      const tabs = [...tab.closest("[role=tablist]").querySelectorAll("[role=tab]")];
      const next = tabs.at((tabs.indexOf(tab) + step) % tabs.length);
      next.focus();
      next.click();
    }
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing) {
      const search = document.querySelector("input[type=search]");
      if (search) {
        event.preventDefault();
        search.focus();
      }
    }
  });

  // A form that was not taken leads to its first problem, which may be far above the button.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const show = () => {
      const problem = form.querySelector("[aria-invalid=true]") ?? form.querySelector("[role=alert]");
      if (!problem) return;
      stop();
      problem.focus({ preventScroll: true });
      problem.scrollIntoView({ block: "center" });
    };
    const changes = new MutationObserver(show);
    const later = setTimeout(show, 1500);
    const end = setTimeout(() => stop(), 10000);
    function stop() {
      changes.disconnect();
      clearTimeout(later);
      clearTimeout(end);
    }
    changes.observe(form, { childList: true, subtree: true, attributes: true, attributeFilter: ["aria-invalid"] });
  });

  const units = [[86400, "d"], [3600, "h"], [60, "min"]];
  function ago(seconds) {
    for (const [length, unit] of units) if (seconds >= length) return `${Math.floor(seconds / length)} ${unit} ago`;
    return seconds >= 1 ? `${Math.floor(seconds)} s ago` : "now";
  }
  function duration(seconds) {
    if (seconds < 60) return `${Math.max(seconds, 0).toFixed(1)} s`;
    const two = (number) => String(number).padStart(2, "0");
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return `${minutes}:${two(Math.floor(seconds % 60))} min`;
    return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(Math.floor(seconds % 60))} h`;
  }
  const write = (element, text) => {
    // The text's own node is changed, so that what renders the page still knows it.
    if (element.firstChild && element.firstChild.nodeValue !== text) element.firstChild.nodeValue = text;
  };
  function tick() {
    for (const element of document.querySelectorAll("time[data-ago]")) {
      write(element, ago((Date.now() - Date.parse(element.dateTime)) / 1000));
    }
    for (const element of document.querySelectorAll("time[data-clock]")) {
      const moment = new Date(element.dateTime);
      const day = moment.toDateString() === new Date().toDateString() ? "" : `${moment.toLocaleDateString("sv")} `;
      const fraction = String(moment.getMilliseconds()).padStart(3, "0");
      write(element, `${day}${moment.toLocaleTimeString("sv")}.${fraction}`);
    }
    for (const element of document.querySelectorAll("[data-elapsed]")) {
      write(element, duration((Date.now() - Date.parse(element.dataset.elapsed)) / 1000));
    }
  }

  // The tab is named by what the page is about, once its heading is there and whenever that changes.
  const kind = document.title;
  function nameTab() {
    const heading = document.querySelector(".content h1")?.textContent.replace(/\.$/, "");
    if (!heading) return;
    const title = kind.startsWith(heading) ? kind : `${heading} · ${kind}`;
    if (document.title !== title) document.title = title;
  }

  applyTheme();
  system.addEventListener("change", applyTheme);
  window.addEventListener("load", () => {
    applyTheme();
    // The page is built by scripts; its own buttons appear after it has loaded.
    new MutationObserver((_, observer) => {
      if (document.querySelector("[data-theme-button]")) {
        observer.disconnect();
        applyTheme();
      }
    }).observe(document.body, { childList: true, subtree: true });
    applyTheme();
    nameTab();
    new MutationObserver(nameTab).observe(document.body, { childList: true, subtree: true, characterData: true });
  });
  setInterval(tick, 1000);
})();
