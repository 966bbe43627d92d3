// The Live page: each panel asks for its own figures, while it can be seen; filters change the address, not the page.
(() => {
  "use strict";
  const PATIENCE_MS = 20000;
  const TROUBLE_MS = 5000;
  const AWAY = { state: "away", source: "Airflow", message: "Airflow does not answer", remedy: "see that it runs: ./showroom status" };
  const SLOW = { ...AWAY, message: `no answer in ${PATIENCE_MS / 1000} seconds` };
  const ENDED = { state: "refused", source: "The login", message: "your login has ended", remedy: "load Airflow again" };
  const FILTERS = ["category", "device", "referrer"];
  const form = document.getElementById("asked");
  if (!form) return;
  const panels = [...document.querySelectorAll("[data-panel]")];
  const seen = new Set();
  const failing = new Map();
  const due = new Map();
  const asking = new Map();
  let refresh = 0;
  let address = window.location.search;

  const query = () => {
    const given = new URLSearchParams();
    const own = form.elements.span.value === "custom";
    for (const [name, value] of new FormData(form)) {
      if (value && (own || (name !== "since" && name !== "until"))) given.set(name, value);
    }
    return given;
  };

  const ask = async (question, signal) => {
    let answer;
    try {
      answer = await fetch(question, { headers: { Accept: "application/json" }, cache: "no-store", signal });
    } catch (error) {
      if (error.name === "AbortError") return null;
      return { trouble: error.name === "TimeoutError" ? SLOW : AWAY };
    }
    if (answer.status === 401 || answer.status === 403) return { trouble: ENDED };
    try {
      const content = await answer.json();
      return answer.ok ? { content } : { trouble: { ...AWAY, message: `the server answered ${answer.status}`, ...content } };
    } catch {
      return { trouble: { ...AWAY, message: `the server answered ${answer.status}` } };
    }
  };

  const HEADS = { away: "is away or busy", refused: "refuses" };
  const say = () => {
    const place = document.getElementById("away");
    const [trouble] = failing.values();
    place.hidden = !trouble;
    if (!trouble) return;
    const head = trouble.source ? `${trouble.source} ${HEADS[trouble.state] ?? "gives no answer"}` : "No answer";
    const texts = [trouble === ENDED ? "Not logged in" : head, `${trouble.message}.`, trouble.remedy];
    // Only what changed is set: a reader of the page is told of trouble once.
    [...place.children].forEach((line, at) => { if (line.textContent !== texts[at]) line.textContent = texts[at]; });
  };

  const look = async (key, question, good, bad) => {
    asking.get(key)?.abort();
    const leaving = new AbortController();
    asking.set(key, leaving);
    due.set(key, Number.POSITIVE_INFINITY);
    const found = await ask(question, AbortSignal.any([leaving.signal, AbortSignal.timeout(PATIENCE_MS)]));
    if (asking.get(key) !== leaving || !found) return;
    asking.delete(key);
    due.set(key, Date.now() + (found.trouble ? Math.min(refresh, TROUBLE_MS) : refresh));
    if (found.trouble) {
      // A panel out of sight is not asked again, so it would say so for ever.
      if (key === "about" || seen.has(key)) failing.set(key, found.trouble);
      bad(found.trouble);
    } else {
      failing.delete(key);
      good(found.content);
    }
    say();
  };

  const figures = (panel) =>
    look(panel, `live/panel/${encodeURIComponent(panel.dataset.panel)}?${query()}`, (answer) => {
      window.Panels.show(panel, answer);
      document.getElementById("updated").textContent = `${answer.at} UTC`;
    }, (trouble) => window.Panels.fail(panel, trouble));

  const offer = (choices) => {
    for (const [name, values] of Object.entries(choices)) {
      const select = form.elements[name];
      if (!(select instanceof HTMLSelectElement)) continue;
      const chosen = select.value;
      const wanted = [...new Set(["", ...(chosen && !values.includes(chosen) ? [chosen] : []), ...values])];
      const offered = [...select.options].map((option) => option.value);
      if (select === document.activeElement || wanted.join("\n") === offered.join("\n")) continue;
      const every = select.options[0];
      select.replaceChildren(every, ...wanted.slice(1).map((value) => new Option(value.replaceAll("_", " "), value)));
      select.value = chosen;
    }
  };

  const about = () =>
    look("about", `live/about?${query()}`, (answer) => {
      offer(answer.choices);
      const pulse = document.getElementById("pulse");
      pulse.textContent = answer.pulse;
      pulse.className = `pulse ${answer.fresh ? "ok" : "quiet"}`;
      document.getElementById("nothing").hidden = !answer.empty;
    }, () => {});

  const tick = () => {
    if (document.hidden) return;
    const now = Date.now();
    if ((due.get("about") ?? 0) <= now) about();
    for (const panel of panels) if (seen.has(panel) && (due.get(panel) ?? 0) <= now) figures(panel);
  };

  const follow = () => {
    const given = query();
    refresh = Number(form.querySelector("[name=span]:checked").dataset.refreshS) * 1000;
    form.dataset.custom = String(given.get("span") === "custom");
    document.getElementById("clear").disabled = !FILTERS.some((name) => given.get(name));
    for (const tab of document.querySelectorAll("[data-board]")) {
      const other = new URLSearchParams(given);
      other.set("board", tab.dataset.board);
      tab.href = `live?${other}`;
    }
  };

  const complete = () => {
    const own = form.elements.span.value === "custom";
    for (const name of ["since", "until"]) form.elements[name].disabled = !own;
    form.elements.until.setCustomValidity("");
    const late = own && form.elements.until.value && form.elements.since.value >= form.elements.until.value;
    if (late) form.elements.until.setCustomValidity("the end must follow the beginning");
    return form.checkValidity();
  };

  const again = () => {
    follow();
    failing.clear();
    due.clear();
    for (const leaving of asking.values()) leaving.abort();
    asking.clear();
    panels.forEach(window.Panels.load);
    say();
    tick();
  };

  // A time of one's own starts as the last day.
  const suggest = () => {
    const [since, until] = [form.elements.since, form.elements.until];
    if (form.elements.span.value !== "custom" || since.value || until.value) return;
    const at = (ms) => new Date(ms).toISOString().slice(0, 16);
    [since.value, until.value] = [at(Date.now() - 86400000), at(Date.now())];
  };

  const change = () => {
    suggest();
    const ready = complete();
    follow();
    if (!ready) {
      if (form.elements.since.value && form.elements.until.value) form.reportValidity();
      return;
    }
    window.history.pushState(null, "", `live?${query()}`);
    address = window.location.search;
    again();
  };

  const restore = () => {
    if (window.location.search === address) return; // a place on this page
    address = window.location.search;
    const given = new URLSearchParams(address);
    form.elements.span.value = given.get("span") || (given.get("since") ? "custom" : "hour");
    for (const name of ["since", "until"]) form.elements[name].value = given.get(name) ?? "";
    for (const name of FILTERS) {
      const value = given.get(name) ?? "";
      const select = form.elements[name];
      if (!(select instanceof HTMLSelectElement)) continue; // no panel here can follow it
      if (![...select.options].some((option) => option.value === value)) select.append(new Option(value, value));
      select.value = value;
    }
    complete();
    again();
  };

  // Airflow's frame allows no new windows; the page around it does.
  const leave = (event) => {
    const link = event.target.closest("a.out");
    if (!link || window.parent === window) return;
    event.preventDefault();
    const outer = window.parent.document.createElement("a");
    Object.assign(outer, { href: link.href, target: "_blank", rel: "noopener" });
    outer.click();
  };

  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      seen[entry.isIntersecting ? "add" : "delete"](entry.target);
      if (!entry.isIntersecting) failing.delete(entry.target);
    }
    say();
    tick();
  }, { rootMargin: "200px" });

  form.addEventListener("change", change);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("clear").addEventListener("click", () => {
    for (const name of FILTERS) if (form.elements[name]) form.elements[name].value = "";
    change();
  });
  document.addEventListener("click", leave);
  document.addEventListener("click", (event) => {
    const swap = event.target.closest(".swap");
    if (!swap) return;
    swap.setAttribute("aria-pressed", String(swap.getAttribute("aria-pressed") !== "true"));
    const panel = swap.closest("[data-panel]");
    if (panel.answer) window.Panels.show(panel, panel.answer);
  });
  document.addEventListener("theme", () => {
    for (const panel of panels) if (panel.answer?.chart) window.Panels.show(panel, panel.answer);
  });
  document.addEventListener("visibilitychange", tick);
  window.addEventListener("popstate", restore);
  complete();
  follow();
  panels.forEach((panel) => watch.observe(panel));
  about();
  window.setInterval(tick, 500);
})();
