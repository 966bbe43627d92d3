// Keeps a page new: the server renders it again, and its contents are put in place.
(() => {
  "use strict";
  const draw = () => {
    const data = document.getElementById("charts");
    if (!data || !window.Plotly) return;
    for (const [identity, chart] of Object.entries(JSON.parse(data.textContent))) {
      const place = document.getElementById(identity);
      if (!place) continue;
      if (chart.traces.every((trace) => trace.values.length === 0)) {
        window.Plotly.purge(place);
        place.replaceChildren(Object.assign(document.createElement("p"), { className: "none", textContent: "nothing yet" }));
        continue;
      }
      if (!place.data) place.replaceChildren();
      window.Showroom.draw(place, chart);
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
