// Calls a reading again and again: every few seconds, more slowly while it fails, not at all while nobody looks.

const USUAL_MS = 5000;
const SLOWEST_MS = 60000;

export class Poller {
  constructor(read) {
    this.read = read;
    this.failures = 0;
    this.timer = null;
    this.isReading = false;
    this.isAskedAgain = false;
    document.addEventListener("visibilitychange", () => this.notice());
  }

  // Reads now; a reading under way is followed by another one.
  async start() {
    if (this.isReading) {
      this.isAskedAgain = true;
      return;
    }
    clearTimeout(this.timer);
    this.isReading = true;
    const isDone = await this.read();
    this.isReading = false;
    this.failures = isDone ? 0 : this.failures + 1;
    this.plan();
  }

  plan() {
    if (this.isAskedAgain) {
      this.isAskedAgain = false;
      this.start();
    } else if (!document.hidden) this.timer = setTimeout(() => this.start(), this.delay());
  }

  delay(failures = this.failures) {
    return Math.min(SLOWEST_MS, USUAL_MS * 2 ** failures);
  }

  notice() {
    clearTimeout(this.timer);
    if (!document.hidden) this.start();
  }
}
