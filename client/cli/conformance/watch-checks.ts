/** Checks of what watchers receive: snapshots, changes, resumes, the fold and graces (sections 1, 2 and 4). */
import type { Check } from './check.ts';
import { must, mustEqual } from './violation.ts';
import { ANSWER_WITHIN_MS, entriesIn, type RawEntry } from './ws-peer.ts';

const is =
  (wanted: string) =>
  ({ status }: RawEntry): boolean =>
    status === wanted;

export const watchChecks: readonly Check[] = [
  {
    rules: ['W26', 'I16'],
    title: 'a snapshot has one entry for every watched user; one never seen is offline with version 0',
    run: async (kit) => {
      const [here, never] = [kit.user(), kit.user()];
      await kit.hello({ user: here, device: 'phone', text: 'hello' });
      const watcher = await kit.hello({ observe: true });
      watcher.send({ type: 'watch', users: [here, never] });
      const snapshot = await watcher.next('snapshot');
      must(Number.isSafeInteger(snapshot['at']), 'at is no whole number');
      const entries = entriesIn(snapshot);
      mustEqual('the users', entries.map(({ user }) => user).sort(), [here, never].sort());
      const { since, lastSeen, v, ...present } = entries.find(({ user }) => user === here) ?? {};
      mustEqual('the present entry', present, {
        user: here,
        status: 'online',
        code: 1,
        devices: ['phone'],
        text: 'hello',
      });
      for (const time of [since, lastSeen, v])
        must(Number.isSafeInteger(time), 'since, lastSeen or v is no whole number');
      mustEqual(
        'the other entry',
        entries.find(({ user }) => user === never),
        { user: never, status: 'offline', code: -1, since: null, lastSeen: null, devices: [], v: 0 },
      );
    },
  },
  {
    rules: ['W29', 'W10', 'I21', 'W41'],
    title: 'every change of status and text is reported with a larger version, and a repetition is not',
    run: async (kit) => {
      const user = kit.user();
      const watcher = await kit.watch(user);
      const peer = await kit.hello({ user });
      await watcher.nextEntry(user, ANSWER_WITHIN_MS, is('online'));
      peer.send({ type: 'heartbeat', status: 'away', text: 'lunch' });
      const away = await watcher.nextEntry(user, ANSWER_WITHIN_MS, is('away'));
      mustEqual('text', away.text, 'lunch');
      mustEqual('code', away.code, 2);
      peer.send({ type: 'heartbeat', status: 'away', text: 'lunch' });
      peer.send({ type: 'heartbeat', text: '' });
      const cleared = await watcher.nextEntry(user, ANSWER_WITHIN_MS, ({ text }) => text === undefined);
      mustEqual('status', cleared.status, 'away');
      mustEqual('since, which begins with the status', cleared.since, away.since);
      const versions = watcher.reported(user).map(({ v }) => Number(v));
      mustEqual('the number of changes', versions.length, 3);
      must(
        versions.every((v, index) => index === 0 || v > (versions[index - 1] ?? v)),
        `versions do not grow: ${versions.join()}`,
      );
    },
  },
  {
    rules: ['W13', 'W27', 'W28'],
    title: 'a watch with since gets only what is newer, or a full snapshot without since',
    run: async (kit) => {
      const [still, changed] = [kit.user(), kit.user()];
      const [, peer] = [await kit.hello({ user: still }), await kit.hello({ user: changed })];
      const watcher = await kit.hello({ observe: true });
      watcher.send({ type: 'watch', users: [still, changed] });
      const since = (await watcher.next('snapshot'))['at'];
      watcher.cut();
      peer.send({ type: 'heartbeat', status: 'busy', id: 1 });
      await peer.next('ok');
      const again = await kit.hello({ observe: true });
      again.send({ type: 'watch', users: [still, changed], since });
      const resumed = await again.next('snapshot');
      const users = entriesIn(resumed).map(({ user }) => user);
      must(users.includes(changed), 'the resume lacks the user who changed');
      mustEqual('its status', entriesIn(resumed).find(({ user }) => user === changed)?.status, 'busy');
      if (resumed['since'] === undefined)
        mustEqual('the users of a full snapshot', users.sort(), [still, changed].sort());
      else mustEqual('the since of a resume', resumed['since'], since);
      for (const ahead of [0, Number.MAX_SAFE_INTEGER - 1]) {
        again.send({ type: 'watch', users: [still], since: ahead, id: ahead });
        const full = await again.next('snapshot', ({ re }) => re === ahead);
        mustEqual('since of an answer to one that the hub can’t know', full['since'], undefined);
      }
    },
  },
  {
    rules: ['W31', 'W38'],
    title: 'unwatch is answered with unwatched, and nothing more of that user comes',
    run: async (kit) => {
      const [gone, kept] = [kit.user(), kit.user()];
      const watcher = await kit.watch(gone, kept);
      watcher.send({ type: 'unwatch', users: [gone] });
      mustEqual('users', (await watcher.next('unwatched'))['users'], [gone]);
      const peer = await kit.hello({ user: gone });
      peer.send({ type: 'heartbeat', status: 'busy', id: 1 });
      await peer.next('ok');
      // What is reported of the other user later shows that nothing was pending.
      await kit.hello({ user: kept });
      await watcher.nextEntry(kept, ANSWER_WITHIN_MS, is('online'));
      mustEqual('what was reported afterwards', watcher.reported(gone), []);
    },
  },
  {
    rules: ['W37'],
    title: 'a change that two watches cover is sent once',
    run: async (kit) => {
      const user = kit.user();
      const watcher = await kit.watch(user);
      watcher.send({ type: 'watch', users: [user, kit.user()] });
      await watcher.next('snapshot');
      const peer = await kit.hello({ user });
      await watcher.nextEntry(user, ANSWER_WITHIN_MS, is('online'));
      peer.send({ type: 'bye' });
      await watcher.nextEntry(user, ANSWER_WITHIN_MS, is('offline'));
      mustEqual('the number of changes', watcher.reported(user).length, 2);
    },
  },
  {
    rules: ['I5', 'I12', 'L6', 'L8'],
    title: 'many sessions become one entry: busy wins over online, online over away; each ends by itself',
    run: async (kit) => {
      const user = kit.user();
      const watcher = await kit.watch(user);
      const away = await kit.hello({ user, device: 'web', status: 'away' });
      await watcher.nextEntry(user, ANSWER_WITHIN_MS, is('away'));
      const online = await kit.hello({ user, device: 'phone' });
      const both = await watcher.nextEntry(user, ANSWER_WITHIN_MS, is('online'));
      mustEqual('devices', both.devices, ['phone', 'web']);
      const busy = await kit.hello({ user, device: 'web', status: 'busy' });
      await watcher.nextEntry(user, ANSWER_WITHIN_MS, is('busy'));
      busy.send({ type: 'bye' });
      await watcher.nextEntry(user, ANSWER_WITHIN_MS, is('online'));
      online.send({ type: 'bye' });
      const last = await watcher.nextEntry(user, ANSWER_WITHIN_MS, is('away'));
      mustEqual('devices', last.devices, ['web']);
      must(away.isOpen, 'the first session of a device was ended by a second one');
    },
  },
  {
    rules: ['I5', 'I14', 'I22'],
    title: 'invisible wins, and others see a user who has left',
    run: async (kit) => {
      const user = kit.user();
      const watcher = await kit.watch(user);
      await kit.hello({ user });
      await watcher.nextEntry(user, ANSWER_WITHIN_MS, is('online'));
      await kit.hello({ user, status: 'invisible', text: 'secret' });
      const shown = await watcher.nextEntry(user, ANSWER_WITHIN_MS, is('offline'));
      mustEqual('devices', shown.devices, []);
      mustEqual('text', shown.text, undefined);
      mustEqual('code', shown.code, -1);
    },
  },
  {
    rules: ['L3', 'L6', 'I21'],
    title: 'a connection that breaks and comes back within the grace was never gone',
    run: async (kit) => {
      const user = kit.user();
      const watcher = await kit.watch(user);
      const peer = await kit.hello({ user, device: 'web' });
      await watcher.nextEntry(user, ANSWER_WITHIN_MS, is('online'));
      peer.cut();
      const back = await kit.hello({ user, device: 'web' });
      back.send({ type: 'heartbeat', status: 'busy' });
      await watcher.nextEntry(user, ANSWER_WITHIN_MS, is('busy'));
      mustEqual(
        'the statuses reported',
        watcher.reported(user).map(({ status }) => status),
        ['online', 'busy'],
      );
    },
  },
];
