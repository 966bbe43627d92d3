// Sets the theme of Airflow around this page, or of the system, before the first paint.
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
