"""The page in a real Chromium: pictures come in, are compared, and are taken home."""

import base64
import io

import numpy as np
import PIL.Image
import pytest

from tests.chromium import chromium, faultless_page, needed
from tests.serving.server import Server
from tests.translation.many.files import picture, png, write_negative

pytestmark = needed("litserve")

TOKEN = "0123456789abcdef-secret"
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(write_negative(tmp_path_factory.mktemp("served") / "n.onnx"), token=TOKEN) as one:
        yield one


@pytest.fixture(scope="module")
def browser():
    with chromium(*CAMERA) as one:
        yield one


@pytest.fixture
def page(request, browser, server):
    width, height = getattr(request, "param", (1280, 800))
    with faultless_page(browser, viewport={"width": width, "height": height}) as one:
        one.goto(f"{server.address}/#token={TOKEN}")
        said(one, "Choose a picture to begin.")
        yield one
        assert one.evaluate("document.documentElement.scrollWidth") == width
        assert one.context.cookies() == []


def said(page, text: str) -> None:
    page.locator("#status").get_by_text(text).wait_for()


def hand_over(page, kind: str, name: str, content: bytes, media: str = "image/png") -> None:
    """Drop a file on the page, or paste it."""
    page.evaluate(
        """([kind, name, text, media]) => {
          const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], name, { type: media }));
          const event = kind === "paste"
            ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
            : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
          document.getElementById("stage").dispatchEvent(event);
        }""",
        [kind, name, base64.b64encode(content).decode(), media],
    )


def taken_home(page) -> tuple[str, np.ndarray]:
    """The name and the pixels of the download."""
    with page.expect_download() as loading:
        page.get_by_role("link", name="Download").click()
    file = loading.value
    return file.suggested_filename, np.asarray(PIL.Image.open(file.path()))


@pytest.mark.parametrize("page", [(1280, 800), (375, 740)], ids=["desktop", "phone"], indirect=True)
def test_a_dropped_picture_is_translated_compared_by_keyboard_and_downloaded(page):
    pixels = picture(1, 60, 90)
    hand_over(page, "drop", "my.photo.png", png(pixels))
    said(page, "Done: 90 x 60 pixels")
    slider = page.get_by_role("slider")
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert slider.input_value() == "53"
    assert "53%" in page.locator("#compare").evaluate("e => e.style.getPropertyValue('--cut')")
    assert page.locator("#compare").evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    boxes = [page.locator(which).bounding_box() for which in ("#before", "#after")]
    assert boxes[0] == boxes[1]
    assert boxes[0]["width"] / boxes[0]["height"] == pytest.approx(1.5, abs=0.02)
    shot = page.locator("#compare").screenshot()
    seen = np.asarray(PIL.Image.open(io.BytesIO(shot)).convert("RGB").resize((90, 60)), float)
    middle = slice(20, 26)  # between the tags and the handle
    assert np.abs(seen[middle, 10:30] - pixels[middle, 10:30]).mean() < 40
    assert np.abs(seen[middle, 60:80] - (255.0 - pixels[middle, 60:80])).mean() < 40
    name, made = taken_home(page)
    assert name == "my.photo-n-x2y.png"
    np.testing.assert_array_equal(made, 255 - pixels)


def test_pasted_and_chosen_pictures_stand_upright_and_large_ones_are_sent_smaller(page):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    PIL.Image.fromarray(picture(2, 40, 1500)).save(buffer, "JPEG", exif=exif)
    hand_over(page, "paste", "wide.jpg", buffer.getvalue(), "image/jpeg")
    said(page, "Done: 27 x 1024 pixels")
    page.get_by_label("Size").select_option("as it is")
    said(page, "Done: 40 x 1500 pixels")
    natural = "e => [e.naturalWidth, e.naturalHeight]"
    assert page.locator("#before").evaluate(natural) == [40, 1500]
    assert page.locator("#after").evaluate(natural) == [40, 1500]
    page.get_by_role("button", name="Another picture").click()
    with page.expect_file_chooser() as choosing:
        page.get_by_role("button", name="Choose a file").click()
    choosing.value.set_files({"name": "b.png", "mimeType": "image/png", "buffer": png(picture(3))})
    said(page, "Done: 8 x 8 pixels")


def test_a_picture_from_the_camera(page):
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_role("button", name="Take the picture").wait_for()
    page.locator("#video").evaluate(
        "v => v.videoWidth || new Promise(done => v.addEventListener('resize', done))"
    )
    page.get_by_role("button", name="Take the picture").click()
    said(page, "Done")
    assert page.locator("#video").evaluate("v => v.srcObject") is None  # the camera is off
    page.get_by_label("Result as").select_option("WebP")
    said(page, "Done")
    name, made = taken_home(page)
    assert name == "camera-n-x2y.webp"
    assert made.std() > 5


def test_mistakes_are_sentences_and_a_busy_server_is_tried_again(browser, server):
    page = browser.new_page()  # refusals are errors of its console
    page.set_default_timeout(20_000)
    page.goto(server.address)
    said(page, "This server asks for a token.")
    page.get_by_label("asks for a token").fill("wrong")
    page.get_by_role("button", name="Go on").click()
    page.get_by_text("was not accepted").wait_for()
    page.get_by_label("asks for a token").fill(TOKEN)
    page.get_by_role("button", name="Go on").click()
    said(page, "Choose a picture to begin.")
    hand_over(page, "drop", "notes.txt", b"words", "text/plain")
    said(page, "notes.txt is no picture.")
    hand_over(page, "drop", "damaged.png", png(picture(1, 64, 64))[:-30])
    said(page, "The picture can't be read")
    times = []

    def busy_at_first(route):
        times.append(1)
        full = {"status": 429, "headers": {"Retry-After": "1"}, "json": {"error": "busy"}}
        route.fulfill(**full) if len(times) == 1 else route.continue_()

    page.route("**/v1/translate**", busy_at_first)
    hand_over(page, "drop", "a.png", png(picture(1)))
    said(page, "Many pictures are waiting. Yours is tried again in 1 s.")
    said(page, "Done")
    page.unroute_all()
    with server.frozen():
        page.get_by_label("Size").select_option("as it is")
        page.get_by_role("button", name="Cancel").click()
        said(page, "Cancelled.")
    page.get_by_role("button", name="Try again").click()
    said(page, "Done")
    page.close()
