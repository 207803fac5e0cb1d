// Airflow's REST API with the session of whoever looks; says in words what went wrong.

const PATIENCE_MS = 20000;

// `kind`: "unreachable", "session" (logged out), "forbidden", "missing", "refused" (the request), "broken" (Airflow).
export class AirflowError extends Error {
  constructor(kind, detail, status = 0) {
    super(detail);
    this.kind = kind;
    this.status = status;
  }
}

const KINDS = { 401: "session", 403: "forbidden", 404: "missing" };

function classify(status) {
  return KINDS[status] || (status >= 500 ? "broken" : "refused");
}

export class Airflow {
  constructor(base) {
    this.base = base;
    this.skew = 0;
  }

  // The server's clock: what it wrote is judged by it, however wrong this machine's is.
  now() {
    return Date.now() + this.skew;
  }

  get(path) {
    return this.send("GET", `/api/v2${path}`);
  }

  post(path, body) {
    return this.send("POST", `/api/v2${path}`, body);
  }

  patch(path, body) {
    return this.send("PATCH", `/api/v2${path}`, body);
  }

  async send(method, path, body) {
    const asked = { method, credentials: "same-origin", headers: { Accept: "application/json" }, cache: "no-store" };
    if (body !== undefined) {
      asked.headers["Content-Type"] = "application/json";
      asked.body = JSON.stringify(body);
    }
    const answer = await this.reach(path, asked);
    this.heed(answer.headers.get("Date"));
    if (answer.ok && !answer.redirected) return answer.json();
    const status = answer.redirected ? 401 : answer.status;
    throw new AirflowError(classify(status), await readDetail(answer), status);
  }

  async reach(path, asked) {
    try {
      return await fetch(this.base + path, { ...asked, signal: AbortSignal.timeout(PATIENCE_MS) });
    } catch (error) {
      throw new AirflowError("unreachable", error.message);
    }
  }

  heed(date) {
    const skew = Date.parse(date) - Date.now();
    if (!Number.isNaN(skew)) this.skew = Math.abs(skew) > 5000 ? skew : 0;
  }
}

async function readDetail(answer) {
  const text = await answer.text().catch(() => "");
  try {
    return tellDetail(JSON.parse(text).detail) || `HTTP ${answer.status}`;
  } catch {
    return `HTTP ${answer.status}`;
  }
}

function tellDetail(detail) {
  if (typeof detail === "string") return detail;
  if (Array.isArray(detail)) return detail.map((one) => `${(one.loc || []).join(".")}: ${one.msg}`).join("; ");
  return detail ? JSON.stringify(detail) : "";
}
