// The Live page: polls the data of each visible panel. Filters change the URL without a page load.
(() => {
  "use strict";
  const TIMEOUT_MS = 20000;
  const RETRY_MS = 5000;
  const DAY_MS = 86400000;
  const UNAVAILABLE = { state: "unavailable", source: "Airflow", message: "Airflow is unavailable", remedy: "check that it runs: ./showroom status" };
  const TIMED_OUT = { ...UNAVAILABLE, message: `no response in ${TIMEOUT_MS / 1000} seconds` };
  const LOGGED_OUT = { state: "error", source: "The login", message: "your session has expired", remedy: "reload Airflow" };
  const FILTERS = ["category", "device", "referrer"];
  const OVERVIEW = "overview";
  const form = document.getElementById("filters");
  if (!form) return;
  const panels = [...document.querySelectorAll("[data-panel]")];
  const visible = new Set();
  const errors = new Map();
  const dueAt = new Map();
  const requests = new Map();
  let refreshMs = 0;
  let search = window.location.search;

  const isCustom = () => form.elements.span.value === "custom";

  const query = () => {
    const params = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      if (value && (isCustom() || (name !== "since" && name !== "until"))) params.set(name, value);
    }
    return params;
  };

  const fetchJson = async (url, signal) => {
    let response;
    try {
      response = await fetch(url, { headers: { Accept: "application/json" }, cache: "no-store", signal });
    } catch (error) {
      if (error.name === "AbortError") return null;
      return { error: error.name === "TimeoutError" ? TIMED_OUT : UNAVAILABLE };
    }
    if (response.status === 401 || response.status === 403) return { error: LOGGED_OUT };
    const statusError = { ...UNAVAILABLE, message: `the server returned ${response.status}` };
    try {
      const content = await response.json();
      return response.ok ? { content } : { error: { ...statusError, ...content } };
    } catch {
      return { error: statusError };
    }
  };

  const HEADINGS = { unavailable: "is unavailable or overloaded", error: "rejected the request" };
  const showErrors = () => {
    const node = document.getElementById("error");
    const [error] = errors.values();
    node.hidden = !error;
    if (!error) return;
    const heading = error.source ? `${error.source} ${HEADINGS[error.state] ?? "returned no data"}` : "No response";
    const texts = [error === LOGGED_OUT ? "Not logged in" : heading, `${error.message}.`, error.remedy];
    // Set only changed lines, because a screen reader announces every change.
    [...node.children].forEach((line, index) => { if (line.textContent !== texts[index]) line.textContent = texts[index]; });
  };

  const load = async (key, url, onData, onError) => {
    requests.get(key)?.abort();
    const controller = new AbortController();
    requests.set(key, controller);
    dueAt.set(key, Number.POSITIVE_INFINITY);
    const result = await fetchJson(url, AbortSignal.any([controller.signal, AbortSignal.timeout(TIMEOUT_MS)]));
    if (requests.get(key) !== controller || !result) return;
    requests.delete(key);
    dueAt.set(key, Date.now() + (result.error ? Math.min(refreshMs, RETRY_MS) : refreshMs));
    if (result.error) {
      // A hidden panel is not polled, so its error would never be cleared.
      if (key === OVERVIEW || visible.has(key)) errors.set(key, result.error);
      onError(result.error);
    } else {
      errors.delete(key);
      onData(result.content);
    }
    showErrors();
  };

  const loadPanel = (panel) =>
    load(panel, `live/panel/${encodeURIComponent(panel.dataset.panel)}?${query()}`, (response) => {
      window.Panels.show(panel, response);
      document.getElementById("updated").textContent = `${response.updated} UTC`;
    }, (error) => window.Panels.showError(panel, error));

  const updateChoices = (choices) => {
    for (const [name, values] of Object.entries(choices)) {
      const select = form.elements[name];
      if (!(select instanceof HTMLSelectElement)) continue;
      const selected = select.value;
      const expected = [...new Set(["", ...(selected && !values.includes(selected) ? [selected] : []), ...values])];
      const existing = [...select.options].map((option) => option.value);
      if (select === document.activeElement || expected.join("\n") === existing.join("\n")) continue;
      const all = select.options[0];
      select.replaceChildren(all, ...expected.slice(1).map((value) => new Option(value.replaceAll("_", " "), value)));
      select.value = selected;
    }
  };

  const loadOverview = () =>
    load(OVERVIEW, `live/overview?${query()}`, (response) => {
      updateChoices(response.choices);
      const freshness = document.getElementById("freshness");
      freshness.textContent = response.freshness;
      freshness.className = `freshness ${response.is_fresh ? "ok" : "stale"}`;
      document.getElementById("no-data").hidden = !response.is_empty;
    }, () => {});

  const poll = () => {
    if (document.hidden) return;
    const now = Date.now();
    if ((dueAt.get(OVERVIEW) ?? 0) <= now) loadOverview();
    for (const panel of panels) if (visible.has(panel) && (dueAt.get(panel) ?? 0) <= now) loadPanel(panel);
  };

  const updateForm = () => {
    const params = query();
    refreshMs = Number(form.querySelector("[name=span]:checked").dataset.refreshS) * 1000;
    form.dataset.custom = String(params.get("span") === "custom");
    document.getElementById("clear").disabled = !FILTERS.some((name) => params.get(name));
    for (const tab of document.querySelectorAll("[data-dashboard]")) {
      const tabParams = new URLSearchParams(params);
      tabParams.set("dashboard", tab.dataset.dashboard);
      tab.href = `live?${tabParams}`;
    }
  };

  const validate = () => {
    for (const name of ["since", "until"]) form.elements[name].disabled = !isCustom();
    form.elements.until.setCustomValidity("");
    const isReversed = isCustom() && form.elements.until.value && form.elements.since.value >= form.elements.until.value;
    if (isReversed) form.elements.until.setCustomValidity("the end must be after the start");
    return form.checkValidity();
  };

  const reload = () => {
    updateForm();
    errors.clear();
    dueAt.clear();
    for (const controller of requests.values()) controller.abort();
    requests.clear();
    panels.forEach(window.Panels.showLoading);
    showErrors();
    poll();
  };

  // A custom time range starts as the last day.
  const setDefaultRange = () => {
    const [since, until] = [form.elements.since, form.elements.until];
    if (!isCustom() || since.value || until.value) return;
    const format = (ms) => new Date(ms).toISOString().slice(0, 16);
    [since.value, until.value] = [format(Date.now() - DAY_MS), format(Date.now())];
  };

  const onFormChange = () => {
    setDefaultRange();
    const isValid = validate();
    updateForm();
    if (!isValid) {
      if (form.elements.since.value && form.elements.until.value) form.reportValidity();
      return;
    }
    window.history.pushState(null, "", `live?${query()}`);
    search = window.location.search;
    reload();
  };

  const onPopState = () => {
    if (window.location.search === search) return; // only the fragment changed
    search = window.location.search;
    const params = new URLSearchParams(search);
    form.elements.span.value = params.get("span") || (params.get("since") ? "custom" : "hour");
    for (const name of ["since", "until"]) form.elements[name].value = params.get(name) ?? "";
    for (const name of FILTERS) {
      const value = params.get(name) ?? "";
      const select = form.elements[name];
      if (!(select instanceof HTMLSelectElement)) continue; // no panel of this dashboard supports the filter
      if (![...select.options].some((option) => option.value === value)) select.append(new Option(value, value));
      select.value = value;
    }
    validate();
    reload();
  };

  // Airflow's sandboxed frame cannot open windows; the page around it can.
  const openOutside = (event) => {
    const link = event.target.closest("a.out");
    if (!link || window.parent === window) return;
    event.preventDefault();
    const outer = window.parent.document.createElement("a");
    Object.assign(outer, { href: link.href, target: "_blank", rel: "noopener" });
    outer.click();
  };

  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      visible[entry.isIntersecting ? "add" : "delete"](entry.target);
      if (!entry.isIntersecting) errors.delete(entry.target);
    }
    showErrors();
    poll();
  }, { rootMargin: "200px" });

  form.addEventListener("change", onFormChange);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("clear").addEventListener("click", () => {
    for (const name of FILTERS) if (form.elements[name]) form.elements[name].value = "";
    onFormChange();
  });
  document.addEventListener("click", openOutside);
  document.addEventListener("click", (event) => {
    const toggle = event.target.closest(".toggle");
    if (!toggle) return;
    toggle.setAttribute("aria-pressed", String(toggle.getAttribute("aria-pressed") !== "true"));
    const panel = toggle.closest("[data-panel]");
    if (panel.response) window.Panels.show(panel, panel.response);
  });
  document.addEventListener("theme", () => {
    for (const panel of panels) if (panel.response?.chart) window.Panels.show(panel, panel.response);
  });
  document.addEventListener("visibilitychange", poll);
  window.addEventListener("popstate", onPopState);
  validate();
  updateForm();
  panels.forEach((panel) => observer.observe(panel));
  loadOverview();
  window.setInterval(poll, 500);
})();
