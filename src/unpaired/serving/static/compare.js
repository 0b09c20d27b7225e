// The picture before and after, one on the other, with a line between that can be moved.

const figure = document.getElementById("compare");
const before = document.getElementById("before");
const after = document.getElementById("after");
const wipe = document.getElementById("wipe");

const cut = () => figure.style.setProperty("--cut", `${wipe.value}%`);
wipe.addEventListener("input", cut);

const shown = { before: "", after: "" };

function put(image, which, blob) {
  if (shown[which]) URL.revokeObjectURL(shown[which]);
  shown[which] = blob ? URL.createObjectURL(blob) : "";
  image.hidden = !blob;
  if (!blob) {
    image.removeAttribute("src");
    return Promise.resolve(true);
  }
  image.src = shown[which];
  return image.decode().then(() => true, () => false);
}

function fit(image) {
  if (image.naturalWidth) {
    figure.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
  }
}

export function clear() {
  put(before, "before", null);
  put(after, "after", null);
  figure.hidden = true;
  figure.classList.remove("both");
}

/** Whether the browser can show it. */
export async function showBefore(blob) {
  clear();
  if (!(await put(before, "before", blob))) {
    clear();
    return false;
  }
  fit(before);
  figure.hidden = false;
  return true;
}

/** Whether the browser can show it; the address is that of the file, to be downloaded. */
export async function showAfter(blob) {
  const seen = await put(after, "after", blob);
  after.hidden = !seen;
  if (seen) {
    fit(after);
    figure.hidden = false;
    wipe.value = 50;
    cut();
  }
  figure.classList.toggle("both", seen && Boolean(shown.before));
  return { seen, address: shown.after };
}
