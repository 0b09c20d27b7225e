// A picture from the camera: live where the browser allows it, else by the phone's own camera.

const dialog = document.getElementById("viewfinder");
const video = document.getElementById("video");

const live = window.isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia);
const phone = window.matchMedia("(pointer: coarse)").matches;

export const possible = live || phone;

let stream = null;

/** Open the camera; `take(file)` gets the picture, `fail(sentence)` why there is none. */
export async function open(take, fail) {
  if (!live) {
    document.getElementById("capture").click();
    return;
  }
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "environment", width: { ideal: 1280 } },
    });
  } catch (error) {
    fail(error.name === "NotFoundError" ? "No camera was found." :
      "The camera can't be used: the browser or you did not allow it.");
    return;
  }
  video.srcObject = stream;
  dialog.showModal();
  await video.play();
  document.getElementById("shoot").onclick = () => shoot(take);
}

function shoot(take) {
  if (!video.videoWidth) return; // the first frame has not come yet
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => {
    dialog.close();
    take(new File([blob], "camera.png", { type: "image/png" }));
  }, "image/png");
}

document.getElementById("close").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", () => {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  video.srcObject = null;
});
