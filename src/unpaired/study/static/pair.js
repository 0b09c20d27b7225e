// A jsPsych plugin: one pair of pictures, shown for an exact number of frames, and a question.
// Made for each pair, because jsPsych copies what a trial is given, and pictures can't be copied.
const pairPlugin = (() => {
  "use strict";
  const LATE = 34; // ms by which an exposure may be wrong: two frames at 60 Hz
  const KEYS = { arrowleft: "left", f: "left", arrowright: "right", j: "right" };

  // The next frame, at the time it is drawn for.
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));

  // Wait until `duration` ms after the frame at `since` have passed, to the nearest frame.
  async function after(since, duration, step) {
    let now = since;
    while (duration - (now - since) > step / 2) now = await frame();
    return now;
  }

  // How long a frame lasts on this screen: the median of some.
  async function frameLength() {
    const lengths = [];
    let last = await frame();
    for (let i = 0; i < 11; i++) {
      const now = await frame();
      lengths.push(now - last);
      last = now;
    }
    return lengths.sort((a, b) => a - b)[5] || 1000 / 60;
  }

  return (pair) => class {
    constructor(jsPsych) { this.jsPsych = jsPsych; }

    static info = { name: "pair", version: "1", parameters: {}, data: {} };

    // pair: { plan, words, pictures: two decoded elements, shown() and answer(report): tell the server }
    async trial(display) {
      const { plan, shown, words } = pair;
      const side = `min(${plan.display}px, ${plan.order === "together" ? "44vw" : "90vw"}, 62vh)`;
      display.innerHTML = `
        <div class="pair" style="--side: ${side}">
          <div class="place" data-side="left"></div><div class="place" data-side="right"></div>
        </div>
        <div class="ask"></div>`;
      const places = [...display.querySelectorAll(".place")];
      const ask = display.querySelector(".ask");
      const one = plan.order === "sequence";
      if (one) places[1].style.marginLeft = `calc(-1 * var(--side) - clamp(.5rem, 3vw, 2rem))`;
      places[0].append(pair.pictures[0]);
      places[1].append(pair.pictures[1]);
      pair.pictures.forEach((picture, i) => {
        picture.setAttribute("role", "img");
        picture.setAttribute("aria-label", words.pictures[i]);
      });

      let unfocused = document.hidden || !document.hasFocus();
      const leave = () => { if (document.hidden || !document.hasFocus()) unfocused = true; };
      window.addEventListener("blur", leave);
      document.addEventListener("visibilitychange", leave);

      const exposures = [];
      let late = false;
      const step = await frameLength();
      let now = await frame();
      now = await after(now, plan.blank_before, step);
      if (!(await shown())) return this.end({ skipped: true }, leave);

      const timed = plan.exposure !== null;
      // Shown in the frame after the class is set: the next callback's time is when it is drawn.
      const show = async (which) => {
        which.forEach((i) => places[i].classList.add("shown"));
        return frame();
      };
      const hide = async (which) => {
        which.forEach((i) => places[i].classList.remove("shown"));
        return frame();
      };
      const expose = async (which) => {
        const on = await show(which);
        words.say(which.length === 2 ? words.both : words.pictures[which[0]]);
        await after(on, plan.exposure - step, step); // hiding takes a frame more
        const off = await hide(which);
        which.forEach(() => exposures.push(off - on));
        if (Math.abs(off - on - plan.exposure) > LATE) late = true;
        return off;
      };
      let answered;
      if (timed && one) {
        const off = await expose([0]);
        await after(off, plan.blank_between - step, step);
        await expose([1]);
      } else if (timed) {
        await expose([0, 1]);
      } else if (one) { // without limit: each until the participant goes on
        for (const i of [0, 1]) {
          await show([i]);
          words.say(words.pictures[i]);
          await this.goOn(ask, words);
          await hide([i]);
        }
      } else {
        await show([0, 1]);
        words.say(words.both);
      }
      const asked = performance.now();
      answered = await this.question(ask, words);
      const report = {
        choice: answered.choice,
        reaction: Math.max(0, answered.time - asked),
        exposures, late, unfocused, input: answered.input,
        viewport: [window.innerWidth, window.innerHeight],
      };
      this.end({ ...(await pair.answer(report)), ...report }, leave);
    }

    end(data, leave) {
      window.removeEventListener("blur", leave);
      document.removeEventListener("visibilitychange", leave);
      this.jsPsych.finishTrial(data);
    }

    goOn(ask, words) {
      return new Promise((resolve) => {
        ask.innerHTML = `<div class="answers"><button type="button">${words.next}</button></div>`;
        const button = ask.querySelector("button");
        button.addEventListener("click", () => { ask.innerHTML = ""; resolve(); }, { once: true });
        button.focus();
      });
    }

    question(ask, words) {
      return new Promise((resolve) => {
        ask.innerHTML = `
          <p class="question" id="question">${words.question}</p>
          <div class="answers" role="group" aria-labelledby="question">
            <button type="button" data-side="left">${words.answers[0]}</button>
            <button type="button" data-side="right">${words.answers[1]}</button>
          </div>
          <p class="soft">${words.keys}</p>`;
        words.say(`${words.question} ${words.keys}`);
        const pointer = { mouse: "mouse", pen: "touch", touch: "touch" };
        const give = (choice, input, time) => {
          window.removeEventListener("keydown", byKey);
          ask.innerHTML = "";
          resolve({ choice, input, time });
        };
        const byKey = (event) => {
          const choice = KEYS[event.key.toLowerCase()];
          if (!choice || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
          event.preventDefault();
          give(choice, "keyboard", event.timeStamp);
        };
        window.addEventListener("keydown", byKey);
        ask.querySelectorAll("button").forEach((button) => {
          button.addEventListener("click", (event) => {
            const input = event.detail === 0 ? "keyboard" : pointer[event.pointerType] || "mouse";
            give(button.dataset.side, input, event.timeStamp);
          });
        });
      });
    }
  };
})();
