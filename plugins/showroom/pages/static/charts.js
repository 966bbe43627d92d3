// How charts look: colours, axes, hover, from what the server says is to be drawn. Labels are text, never markup.
window.Showroom = (() => {
  "use strict";
  const SERIES = 8;
  const FEW = 3;
  // A line alone would hide few points, and those between two gaps.
  const marked = (values) =>
    values.filter((value) => value !== null).length <= FEW ||
    values.some((value, place) => value !== null && (values[place - 1] ?? null) === null && (values[place + 1] ?? null) === null);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // The chart library reads some tags in labels.
  const plain = (value) =>
    typeof value === "string" ? value.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;") : value;
  const inkOf = (name, place) => colour(name ? `--${name}` : `--series-${(place % SERIES) + 1}`);

  const axis = () => ({
    gridcolor: colour("--grid"), linecolor: colour("--grid"), zeroline: false, automargin: true, fixedrange: true,
  });
  const amounts = (chart) => {
    if (chart.mode === "percentage") return { ...axis(), rangemode: "tozero", ticksuffix: " %", nticks: 5 };
    const values = chart.traces.flatMap((trace) => trace.values.map((value) => value ?? 0));
    const heights = chart.traces[0].values.map((_, place) => chart.traces.reduce((sum, trace) => sum + (trace.values[place] ?? 0), 0));
    const most = Math.max(0, ...heights);
    // Of a few things there are no halves, and no thousandths.
    if (most <= 4 && values.every(Number.isInteger)) return { ...axis(), rangemode: "tozero", tickformat: "d", dtick: 1 };
    return { ...axis(), rangemode: "tozero", tickformat: chart.unit === "percent" ? ".0%" : ",~s", nticks: 5 };
  };
  const names = (ticks) => ({
    ...axis(), type: "category", showgrid: false, tickmode: "array", ticklabelstandoff: 4,
    categoryorder: "array", categoryarray: ticks.values, tickvals: ticks.values, ticktext: ticks.texts.map(plain),
  });

  const axes = (chart) => {
    switch (chart.shape) {
      case "bars":
        return { xaxis: amounts(chart), yaxis: { ...names(chart.ticks), autorange: "reversed" } };
      case "columns":
        return { xaxis: names(chart.ticks), yaxis: amounts(chart) };
      case "heatmap":
        return {
          xaxis: { ...names(chart.ticks), title: { text: plain(chart.ticks.title), standoff: 6 } },
          yaxis: { ...names(chart.down), autorange: "reversed" },
        };
      case "pie":
        return {};
      default:
        return { xaxis: { ...axis(), type: "date", showgrid: false, nticks: 7 }, yaxis: amounts(chart) };
    }
  };

  const layoutOf = (chart) => ({
    paper_bgcolor: "transparent", plot_bgcolor: "transparent", autosize: true, separators: ".,",
    barmode: chart.mode === "unstacked" ? "group" : "stack", barnorm: chart.mode === "percentage" ? "percent" : "",
    bargap: chart.shape === "time" ? 0.15 : 0.3,
    font: { family: "inherit", size: 12, color: colour("--muted") },
    margin: { l: 8, r: 12, t: 6, b: 8 },
    showlegend: chart.shape === "pie" || (chart.shape !== "heatmap" && chart.traces.length > 1),
    legend:
      chart.shape === "pie"
        ? { x: 1.02, y: 0.5, yanchor: "middle", font: { size: 12 } }
        : { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal" },
    hovermode: chart.shape === "time" ? "x unified" : "closest",
    hoverlabel: { align: "left", bgcolor: colour("--card"), bordercolor: colour("--grid"), font: { color: colour("--text") } },
    ...axes(chart),
  });

  const slices = (trace) => ({
    type: "pie", hole: 0.58, sort: false, direction: "clockwise", labels: trace.at.map(plain), values: trace.values,
    text: trace.texts.map(plain), textinfo: "none",
    hovertemplate: "%{text}<extra></extra>",
    marker: { colors: trace.inks.map(inkOf), line: { color: colour("--card"), width: 2 } },
  });

  const tiles = (trace, top) => ({
    type: "heatmap", x: trace.at, y: trace.down, z: trace.values, text: trace.texts.map((row) => row.map(plain)),
    hovertemplate: "%{text}<extra></extra>", xgap: 2, ygap: 2, hoverongaps: false,
    colorscale: [[0, colour("--heat-0")], [0.5, colour("--heat-1")], [1, colour("--heat-2")]], zmin: 0, zmax: top,
    colorbar: {
      thickness: 10, outlinewidth: 0, tickformat: ",~s", nticks: 5, len: 0.9,
      ...(Math.max(...trace.values.flat()) > top ? { ticksuffix: "+", showticksuffix: "last" } : {}),
    },
  });

  const series = (trace, place, chart) => {
    const ink = inkOf(trace.ink, place);
    const flat = chart.shape === "bars";
    const stacked = trace.area && chart.mode !== "unstacked" && chart.traces.length > 1;
    return {
      type: trace.type, name: plain(trace.name), orientation: flat ? "h" : "v",
      x: flat ? trace.values : trace.at, y: flat ? trace.at : trace.values,
      text: trace.texts.map(plain), textposition: "none", hovertemplate: "%{text}<extra></extra>",
      mode: marked(trace.values) ? "lines+markers" : "lines", line: { color: ink, width: 2 },
      marker: { color: ink, size: 5, line: { width: 0 } },
      ...(trace.area ? { fill: stacked ? "tonexty" : "tozeroy", fillcolor: `${ink}${stacked ? "88" : "22"}` } : {}),
      ...(stacked ? { stackgroup: "all", groupnorm: chart.mode === "percentage" ? "percent" : "" } : {}),
    };
  };

  const traced = (chart) =>
    chart.traces.map((trace, place) => {
      if (trace.type === "pie") return slices(trace);
      return trace.type === "heatmap" ? tiles(trace, chart.top) : series(trace, place, chart);
    });

  const draw = (place, chart) =>
    window.Plotly.react(place, traced(chart), layoutOf(chart), { displayModeBar: false, responsive: true });

  return { draw };
})();
