// Draws the charts and keeps the page new: the server renders it again, and its contents are put in place.
(() => {
  "use strict";
  const COLOURS = ["--series-1", "--series-2", "--series-3"];
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Labels are text, but the chart library reads some tags in them.
  const plain = (value) =>
    typeof value === "string" ? value.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;") : value;

  const layoutOf = (kind, traces) => {
    const axis = {
      gridcolor: colour("--grid"), linecolor: colour("--grid"), zeroline: false, automargin: true, fixedrange: true,
    };
    const bars = kind === "bars" || kind === "stacked";
    const longest = Math.max(0, ...traces.map((trace) => trace.y.length));
    return {
      paper_bgcolor: "transparent", plot_bgcolor: "transparent", barmode: "stack", bargap: bars ? 0.35 : 0.15,
      font: { family: "inherit", size: 12, color: colour("--muted") },
      margin: { l: 8, r: 12, t: 4, b: 8 },
      height: bars ? Math.max(90, 30 * longest + 34 + (traces.length > 1 ? 26 : 0)) : 220,
      showlegend: traces.length > 1,
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal" },
      hovermode: bars ? "closest" : "x unified",
      hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--grid"), font: { color: colour("--text") } },
      separators: ".,",
      xaxis: bars ? { ...axis, rangemode: "tozero", tickformat: ",~s", nticks: 5 } : { ...axis, type: "date", showgrid: false },
      yaxis: bars
        ? { ...axis, type: "category", showgrid: false, ticklabelstandoff: 6 }
        : { ...axis, rangemode: "tozero", tickformat: ",~s", nticks: 5 },
    };
  };

  const styled = (trace, place) => {
    const ink = colour(trace.ink ? `--${trace.ink}` : COLOURS[place % COLOURS.length]);
    const inks = trace.inks?.map((name) => colour(`--${name}`));
    const bar = trace.type === "bar";
    const flat = bar && trace.orientation === "h";
    return {
      ...trace,
      x: trace.x.map(plain), y: trace.y.map(plain), name: plain(trace.name),
      line: { color: ink, width: 2, shape: "linear" },
      fillcolor: trace.fill ? `${ink}22` : undefined,
      marker: { color: inks ?? ink },
      hovertemplate: flat ? `%{y}: %{x:,}<extra>${plain(trace.name)}</extra>` : `%{y:,}`,
    };
  };

  const draw = () => {
    const data = document.getElementById("charts");
    if (!data || !window.Plotly) return;
    for (const [identity, traces] of Object.entries(JSON.parse(data.textContent))) {
      const place = document.getElementById(identity);
      if (!place) continue;
      const empty = traces.every((trace) => trace.x.length === 0);
      if (empty) {
        window.Plotly.purge(place);
        place.replaceChildren(Object.assign(document.createElement("p"), { className: "none", textContent: "nothing yet" }));
        continue;
      }
      if (!place.data) place.replaceChildren();
      window.Plotly.react(place, traces.map(styled), layoutOf(place.dataset.kind, traces), {
        displayModeBar: false, responsive: true,
      });
    }
  };

  // Charts that stay are moved into the new page, so that they change without a flicker.
  const show = (fresh) => {
    const page = document.getElementById("page");
    for (const place of fresh.querySelectorAll(".chart")) {
      const drawn = document.getElementById(place.id);
      if (drawn?.data) place.replaceWith(drawn);
    }
    page.replaceChildren(...fresh.childNodes);
    draw();
  };

  const trouble = (text) => {
    const place = document.getElementById("trouble");
    if (place) place.textContent = text;
  };

  const refresh = async () => {
    try {
      const answer = await fetch(window.location.href, { headers: { Accept: "application/json" }, cache: "no-store" });
      if (answer.status === 401) return trouble(" · your login has ended: load Airflow again");
      if (!answer.ok) return trouble(` · not refreshed: the server answered ${answer.status}`);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("page");
      if (fresh) show(fresh);
    } catch {
      trouble(" · not refreshed: Airflow does not answer");
    }
  };

  const every = Number(document.getElementById("page").dataset.refreshS) * 1000;
  const again = async () => {
    if (!document.hidden) await refresh();
    window.setTimeout(again, every);
  };
  document.addEventListener("theme", draw);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  draw();
  window.setTimeout(again, every);
})();
