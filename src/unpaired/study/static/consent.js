// What the screen is like, and whether the pictures fit on it.
(() => {
  "use strict";
  const { size, order } = document.currentScript.dataset;
  const check = () => {
    const needed = (order === "together" ? 2 : 1) * Math.min(Number(size), 200) + 40;
    document.getElementById("small").hidden = window.innerWidth >= needed && window.innerHeight >= 360;
    const field = document.getElementById("screen");
    if (field) {
      field.value = JSON.stringify({
        width: screen.width, height: screen.height, inner_width: window.innerWidth,
        inner_height: window.innerHeight, ratio: window.devicePixelRatio,
        depth: screen.colorDepth, touch: navigator.maxTouchPoints > 0,
      });
    }
  };
  window.addEventListener("resize", check);
  check();
})();
