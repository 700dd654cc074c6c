'use strict';
// Asks for status.json every few seconds and shows it. Whatever comes from there becomes text,
// never markup: names of objects are their owners'.
(() => {
  const every = 2000; // ms between two questions
  const kept = 150; // samples: five minutes
  const recent = 10; // s that "per second" is the mean of
  const minute = 60;

  const $ = (id) => document.getElementById(id);
  const samples = []; // { at, values }, the oldest first; values by name count up
  let paused = false, timer, failing = 0, told;

  // -- numbers as text

  const round = (n) => (n === 0 ? '0' : n >= 100 ? Math.round(n).toLocaleString('en') : n >= 10 ? n.toFixed(1) : n < 0.005 ? '<0.01' : n.toFixed(2));
  const count = (n) => Math.round(n).toLocaleString('en');
  function bytes(n) {
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
    let i = 0;
    for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
    return (i === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)) + ' ' + units[i];
  }
  function span(s) {
    s = Math.max(0, s);
    if (s < 60) return Math.floor(s) + ' s';
    if (s < 3600) return Math.floor(s / 60) + ' min ' + Math.floor(s % 60) + ' s';
    if (s < 86400) return Math.floor(s / 3600) + ' h ' + Math.floor((s % 3600) / 60) + ' min';
    return Math.floor(s / 86400) + ' d ' + Math.floor((s % 86400) / 3600) + ' h';
  }
  const ago = (at, now) => (at > 0 ? span(now - at) + ' ago' : 'never');
  const mean = (seconds, n) => (n > 0 ? (seconds / n < 1 ? round((seconds / n) * 1000) + ' ms' : round(seconds / n) + ' s') : '–');

  // -- what has changed in the last seconds

  function valuesOf(d) {
    const v = { received: d.totals.received, sent: d.totals.sent, requests: d.totals.requests, failed: d.totals.failed };
    for (const o of d.operations) { v['op/' + o.name] = o.requests; v['opt/' + o.name] = o.seconds; }
    for (const c of d.upstream) { v['up/' + c.name] = c.calls; v['upt/' + c.name] = c.seconds; v['upf/' + c.name] = c.failed; }
    for (const c of d.kms) { v['kms/' + c.name] = c.calls; v['kmst/' + c.name] = c.seconds; v['kmsf/' + c.name] = c.failed; }
    for (const kind of ['integrity', 'signatures', 'throttled']) for (const c of d.errors[kind]) v[kind + '/' + c.name] = c.count;
    v.plaintext = d.errors.plaintext;
    return v;
  }
  function since(seconds) {
    const last = samples[samples.length - 1];
    for (const s of samples) if (last.at - s.at <= seconds + every / 2000) return s;
    return last;
  }
  function more(name, seconds) {
    const last = samples[samples.length - 1], first = since(seconds);
    return Math.max(0, (last.values[name] || 0) - (first.values[name] || 0));
  }
  function perSecond(name) {
    const last = samples[samples.length - 1], first = since(recent);
    return last.at > first.at ? more(name, recent) / (last.at - first.at) : 0;
  }

  // -- elements

  function element(tag, text, cls) {
    const e = document.createElement(tag);
    if (text !== undefined) e.textContent = text;
    if (cls) e.className = cls;
    return e;
  }
  // cell takes text, [text, class], or an element.
  function cell(c, tag) {
    if (c instanceof Node) { const e = element(tag); e.append(c); return e; }
    return Array.isArray(c) ? element(tag, c[0], c[1]) : element(tag, c);
  }
  function rows(id, list) {
    const table = $(id), body = table.tBodies[0], columns = table.tHead.rows[0].cells;
    if (list.length === 0) {
      const e = element('td', table.dataset.empty, 'empty');
      e.colSpan = columns.length;
      const tr = element('tr');
      tr.append(e);
      body.replaceChildren(tr);
      return;
    }
    body.replaceChildren(...list.map((cells) => {
      const tr = element('tr');
      cells.forEach((c, i) => {
        const e = cell(c, i === 0 ? 'th' : 'td');
        if (i === 0) e.scope = 'row';
        if (columns[i].className === 'n') e.classList.add('n');
        tr.append(e);
      });
      return tr;
    }));
  }
  function pairs(id, list) {
    $(id).replaceChildren(...list.map(([name, value, cls]) => {
      const div = element('div');
      div.append(element('dt', name), cell(value instanceof Node ? value : [value, cls], 'dd'));
      return div;
    }).flatMap((div) => ($(id).classList.contains('tiles') ? [div] : [...div.children])));
  }
  function bar(value, max, label) {
    const e = element('span', undefined, 'bar'), p = element('progress');
    p.max = max;
    p.value = Math.min(value, max);
    p.setAttribute('aria-label', label);
    e.append(p, label);
    return e;
  }
  const failedCell = (n) => [count(n), n > 0 ? 'bad' : ''];

  function chart(id, name, show) {
    const rates = [];
    for (let i = 1; i < samples.length; i++) {
      const a = samples[i - 1], b = samples[i];
      rates.push(Math.max(0, b.values[name] - a.values[name]) / Math.max(0.001, b.at - a.at));
    }
    $('rate-' + id).textContent = show(perSecond(name)) + '/s';
    const top = Math.max(...rates, 0);
    $('peak-' + id).textContent = top > 0 ? 'peak ' + show(top) : '';
    const svg = $('chart-' + id);
    svg.setAttribute('aria-label', 'Per second: now ' + show(perSecond(name)) + ', at most ' + show(top) + ' in the last five minutes');
    const points = rates.map((r, i) => {
      const x = 300 - ((rates.length - 1 - i) * 300) / (kept - 2);
      return x.toFixed(1) + ',' + (top > 0 ? 58 - (r / top) * 54 : 58).toFixed(1);
    });
    if (points.length < 2) return;
    const line = document.createElementNS('http://www.w3.org/2000/svg', 'polyline');
    line.setAttribute('points', points.join(' '));
    const area = document.createElementNS('http://www.w3.org/2000/svg', 'polygon');
    area.setAttribute('points', points[0].split(',')[0] + ',60 ' + points.join(' ') + ' 300,60');
    svg.replaceChildren(area, line);
  }

  // -- sections

  function showNow(d, now) {
    const failed = more('failed', minute);
    pairs('tiles', [
      ['Requests running', count(d.totals['in-flight'])],
      ['Connections', count(d.totals.connections)],
      ['Requests since the start', count(d.totals.requests)],
      ['Failed, last minute', count(failed), failed > 0 ? 'bad' : ''],
      ['Received in all', bytes(d.totals.received)],
      ['Sent in all', bytes(d.totals.sent)],
      ['Running for', span(now - d.process.start)],
    ]);
    chart('received', 'received', bytes);
    chart('sent', 'sent', bytes);
    chart('requests', 'requests', round);
  }
  function moved(t) {
    const out = t['to-send'] > 0 || t.sent > t.received;
    const done = out ? t.sent : t.received, all = out ? t['to-send'] : t['to-receive'];
    const word = out ? ' sent' : ' received';
    return all > 0 ? bar(done, all, bytes(done) + ' of ' + bytes(all) + word) : done > 0 ? bytes(done) + word : '–';
  }
  function showRunning(d) {
    const r = d.running;
    $('running-total').textContent = r.total > r.transfers.length ? r.total + ', of which the ' + r.transfers.length + ' oldest' : '';
    rows('running', r.transfers.map((t) => [
      t.operation, span(t.seconds), moved(t), [t.bucket + (t.key ? '/' + t.key : ''), 'long'], t.client || 'unsigned',
    ]));
  }
  function showOperations(d) {
    rows('operations', d.operations.filter((o) => o.requests > 0).sort((a, b) => b.requests - a.requests).map((o) => [
      o.name, round(perSecond('op/' + o.name)) + '/s', latency('op', o.name, o.seconds, o.requests), count(o.requests), failedCell(o.failed), count(o.refused),
    ]));
  }
  // latency is the mean of the last minute, or else of all.
  function latency(prefix, name, seconds, n) {
    const lately = more(prefix + '/' + name, minute);
    return lately > 0 ? mean(more(prefix + 't/' + name, minute), lately) : mean(seconds, n);
  }
  function showErrors(d) {
    const list = [];
    const add = (what, kind, key, total, cls) => { if (total > 0) list.push([[what, cls], [kind, 'long'], count(more(key, minute)), count(total)]); };
    for (const c of d.errors.integrity) add('Integrity failure', c.name, 'integrity/' + c.name, c.count, 'bad');
    for (const c of d.kms) add('KMS call failed', c.name, 'kmsf/' + c.name, c.failed, 'bad');
    for (const c of d.upstream) add('Store failed', c.name, 'upf/' + c.name, c.failed, 'bad');
    for (const c of d.errors.signatures) add('Signature refused', c.name, 'signatures/' + c.name, c.count, 'warn');
    for (const c of d.errors.throttled) add('SlowDown', c.name, 'throttled/' + c.name, c.count, 'warn');
    add('Served without decryption', 'plaintext', 'plaintext', d.errors.plaintext, 'warn');
    rows('errors', list);
  }
  function showKeys(d, now) {
    $('tried').textContent = ago(Date.parse(d.ready.at) / 1000, now);
    rows('keys', d.ready.keys.map((k) => [k.uri, k.error ? [k.error, 'bad long'] : ['works', 'ok']]));
    rows('windows', d.windows.keks.map((k) => [k.name, count(k.count)]));
    $('window-end').textContent = d.windows.end > 0 ? '(the first ends in ' + span(d.windows.end - now) + ')' : '';
    rows('kms', d.kms.filter((c) => c.calls > 0).map((c) => [c.name, count(more('kms/' + c.name, minute)), latency('kms', c.name, c.seconds, c.calls), count(c.calls), failedCell(c.failed)]));
  }
  function showStores(d) {
    rows('stores', d.stores.map((s) => [s.url, s.answers ? ['answers', 'ok'] : ['does not answer', 'bad']]));
    rows('upstream', d.upstream.filter((c) => c.calls > 0).map((c) => [c.name, round(perSecond('up/' + c.name)) + '/s', latency('up', c.name, c.seconds, c.calls), count(c.calls), failedCell(c.failed)]));
  }
  const cacheNames = { window_keys: 'Window keys', trailers: 'Ends of objects', last_seen: 'Objects seen last', listed: 'ETags of lists' };
  function showCaches(d) {
    rows('caches', d.caches.map((c) => {
      const all = c.hits + c.misses, share = all > 0 ? bar(c.hits, all, Math.round((100 * c.hits) / all) + ' %') : '–';
      return [cacheNames[c.name] || c.name, count(c.entries), count(c.hits), count(c.misses), share];
    }));
  }
  function showUpkeep(d, now) {
    const u = d.upkeep;
    const sweep = u['sweep-bucket'] ? bar(u['sweep-done'], u['sweep-of'], u['sweep-bucket'] + ' (' + (u['sweep-done'] + 1) + ' of ' + u['sweep-of'] + ')')
      : u['sweep-next'] > 0 ? 'next in ' + span(u['sweep-next'] - now) : 'not yet';
    pairs('upkeep', [
      ['Sweep of uploads', sweep],
      ['Last sweep without failure', ago(u['sweep-last'], now)],
      ['Sweeps with failures', count(u['sweep-failed']), u['sweep-failed'] > 0 ? 'warn' : ''],
      ['Uploads swept', count(u['uploads-removed'])],
      ['Credentials', u['credentials-valid'] ? 'read ' + ago(u['credentials-read'], now) : 'cannot be used: those of ' + ago(u['credentials-read'], now) + ' are valid', u['credentials-valid'] ? '' : 'bad'],
      ['Certificate', u['certificate-end'] > 0 ? (u['certificate-end'] > now ? 'ends in ' + span(u['certificate-end'] - now) : 'has ended') : 'none: this listener speaks plain HTTP', u['certificate-end'] > 0 && u['certificate-end'] < now + 7 * 86400 ? 'bad' : ''],
    ]);
  }
  function showProcess(d) {
    const p = d.process;
    pairs('process', [
      ['Memory', bytes(p.memory)],
      ['CPU time', span(p['cpu-seconds'])],
      ['Goroutines', count(p.goroutines)],
      ['Open files', count(p.files) + ' of ' + count(p['max-files'])],
      ['Built with', d.build.go],
    ]);
  }
  function showReady(d) {
    const r = d.ready, badge = $('ready');
    const text = r.ready ? (r.notes.length > 0 ? 'Ready, with warnings' : 'Ready') : 'Not ready';
    badge.textContent = text;
    badge.className = 'badge ' + (!r.ready ? 'bad' : r.notes.length > 0 ? 'warn' : 'ok');
    document.title = (r.ready ? '' : 'Not ready: ') + 's3proxy';
    const all = (r.why ? ['not ready: ' + r.why] : []).concat(r.notes).join(' — ');
    if (failing === 0) banner(all, r.ready ? 'warn' : 'bad');
    if (told !== undefined && told !== text) $('said').textContent = text;
    told = text;
    $('build').textContent = [d.build.version, d.build.commit].filter(Boolean).join(' · ');
  }
  function banner(text, cls) {
    const b = $('lost');
    if (b.textContent !== text) b.textContent = text; // or a screen reader says it again
    b.className = 'banner ' + cls;
    b.hidden = text === '';
  }

  function show(d) {
    const now = Date.parse(d.now) / 1000;
    const last = samples[samples.length - 1];
    if (last && last.start !== d.process.start) samples.length = 0; // another process
    samples.push({ at: now, start: d.process.start, values: valuesOf(d) });
    if (samples.length > kept) samples.shift();
    showReady(d);
    showNow(d, now);
    showRunning(d);
    showOperations(d);
    showErrors(d);
    showKeys(d, now);
    showStores(d);
    showCaches(d);
    showUpkeep(d, now);
    showProcess(d);
    reachable();
    const at = $('updated');
    at.textContent = new Date(d.now).toLocaleTimeString();
    at.dateTime = d.now;
  }

  // reachable lets the keyboard scroll what is wider than its place, and passes by what is not.
  function reachable() {
    for (const e of document.querySelectorAll('.scroll')) {
      if (e.scrollWidth > e.clientWidth) {
        e.tabIndex = 0;
      } else if (e !== document.activeElement) {
        e.removeAttribute('tabindex');
      }
    }
  }

  async function ask() {
    clearTimeout(timer);
    if (!document.hidden) {
      try {
        const answer = await fetch('status.json', { cache: 'no-store', credentials: 'same-origin', signal: AbortSignal.timeout(10000) });
        if (!answer.ok) throw new Error(answer.status === 401 ? 'the token is no longer valid: load the page again' : 'status ' + answer.status);
        const doc = await answer.json();
        failing = 0;
        show(doc);
      } catch (e) {
        failing++;
        banner('No answer from the proxy (' + e.message + '). What you see is old.', 'bad');
        $('ready').className = 'badge';
        $('ready').textContent = 'Unknown';
        document.title = 'No answer: s3proxy';
      }
    }
    if (!paused) timer = setTimeout(ask, every);
  }

  $('pause').addEventListener('click', () => {
    paused = !paused;
    $('pause').className = paused ? 'on' : '';
    $('pause').textContent = paused ? 'Resume' : 'Pause';
    clearTimeout(timer);
    if (!paused) ask();
  });
  document.addEventListener('visibilitychange', () => { if (!document.hidden && !paused) ask(); });
  ask();
})();
