// A chosen file becomes what is sent: as it is, or no larger than asked for.

/** {blob, width, height, name}; width 0: the browser can't show it (TIFF), so it goes as it is. */
export async function prepared(file, side) {
  const name = (file.name ?? "picture").replace(/\.[^.]*$/, "") || "picture";
  let bitmap;
  try {
    bitmap = await createImageBitmap(file); // upright, as EXIF says
  } catch {
    return { blob: file, width: 0, height: 0, name };
  }
  const { width, height } = bitmap;
  const scale = side ? Math.min(1, side / Math.max(width, height)) : 1;
  if (scale === 1) {
    bitmap.close();
    return { blob: file, width, height, name };
  }
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  return { blob, width: canvas.width, height: canvas.height, name };
}

/** Why the server would refuse it, in a sentence; empty if it wouldn't. */
export function tooLarge({ blob, width, height }, { max_pixels, max_bytes }) {
  const million = (number) => (number / 1e6).toFixed(1);
  if (width * height > max_pixels) {
    return `The picture has ${million(width * height)} million pixels; at most ` +
      `${million(max_pixels)} million are taken here. Choose a smaller size.`;
  }
  if (blob.size > max_bytes) {
    return `The file has ${million(blob.size)} MB; at most ${million(max_bytes)} MB are taken ` +
      "here. Choose a smaller size.";
  }
  return "";
}
