// Refreshes the Stream page: fetches it again and replaces the content.
(() => {
  "use strict";
  const draw = () => {
    const data = document.getElementById("charts");
    if (!data || !window.Plotly) return;
    for (const [id, chart] of Object.entries(JSON.parse(data.textContent))) {
      const node = document.getElementById(id);
      if (!node) continue;
      if (chart.traces.every((trace) => trace.values.length === 0)) {
        window.Plotly.purge(node);
        node.replaceChildren(Object.assign(document.createElement("p"), { className: "empty", textContent: "no data yet" }));
        continue;
      }
      if (!node.data) node.replaceChildren();
      window.Charts.draw(node, chart);
    }
  };

  // Move existing charts into the new content, because new elements flicker.
  const replaceContent = (next) => {
    const page = document.getElementById("page");
    for (const node of next.querySelectorAll(".chart")) {
      const chart = document.getElementById(node.id);
      if (chart?.data) node.replaceWith(chart);
    }
    page.replaceChildren(...next.childNodes);
    draw();
  };

  const showError = (text) => {
    const node = document.getElementById("refresh-error");
    if (node) node.textContent = text;
  };

  const refresh = async () => {
    try {
      const response = await fetch(window.location.href, { headers: { Accept: "application/json" }, cache: "no-store" });
      if (response.status === 401) return showError(" · your session has expired: reload Airflow");
      if (!response.ok) return showError(` · refresh failed: the server returned ${response.status}`);
      const next = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("page");
      if (next) replaceContent(next);
    } catch {
      showError(" · refresh failed: Airflow is unavailable");
    }
  };

  const intervalMs = Number(document.getElementById("page").dataset.refreshS) * 1000;
  const poll = async () => {
    if (!document.hidden) await refresh();
    window.setTimeout(poll, intervalMs);
  };
  document.addEventListener("theme", draw);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  draw();
  window.setTimeout(poll, intervalMs);
})();
