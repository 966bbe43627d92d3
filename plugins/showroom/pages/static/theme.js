// The colours of the page around this one, before anything is painted; else the system's.
(() => {
  "use strict";
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const outer = () => {
    try {
      if (window.parent === window) return null;
      const root = window.parent.document.documentElement;
      return root.classList.contains("dark") ? "dark" : root.classList.contains("light") ? "light" : null;
    } catch {
      return null; // another origin
    }
  };
  const apply = () => {
    const theme = outer() ?? (dark.matches ? "dark" : "light");
    if (document.documentElement.dataset.theme === theme) return;
    document.documentElement.dataset.theme = theme;
    document.dispatchEvent(new Event("theme"));
  };
  apply();
  dark.addEventListener("change", apply);
  if (outer()) {
    new MutationObserver(apply).observe(window.parent.document.documentElement, { attributeFilter: ["class"] });
  }
})();
