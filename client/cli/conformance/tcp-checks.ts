/** Checks of section 3: heartbeats as XML over TCP. A WebSocket observer says what the hub made of them. */
import type { Check } from './check.ts';
import { END_WITHIN_MS, frame } from './kit.ts';
import { must, mustEqual } from './violation.ts';
import { ANSWER_WITHIN_MS } from './ws-peer.ts';

const BAD_FRAMES_THAT_CLOSE = 10;
const MAX_FRAME_BYTES = 8192;
/** Below any lease and grace in use, so that neither passes for a goodbye. */
const AT_ONCE_MS = 1000;

export const tcpChecks: readonly Check[] = [
  {
    rules: ['T1'],
    title: 'a frame, and one empty element, makes its user online',
    needs: 'tcp',
    run: async (kit) => {
      const [first, second] = [kit.user(), kit.user()];
      const watcher = await kit.watch(first, second);
      const client = await kit.openTcp();
      client.write(frame(first));
      client.write(`<protocol user_id="${second}"/>`);
      for (const user of [first, second]) {
        const entry = await watcher.nextEntry(user, ANSWER_WITHIN_MS, ({ status }) => status === 'online');
        mustEqual('code', entry.code, 1);
        mustEqual('devices', entry.devices, ['legacy']);
      }
    },
  },
  {
    rules: ['T2'],
    title: 'a frame may span packets, and a packet may hold frames with white space and NUL between them',
    needs: 'tcp',
    run: async (kit) => {
      const [first, second, third] = [kit.user(), kit.user(), kit.user()];
      const watcher = await kit.watch(first, second, third);
      const client = await kit.openTcp();
      const text = frame(first);
      client.write(text.slice(0, 20));
      await new Promise((resolve) => setTimeout(resolve, 50)); // so that the rest is another packet
      client.write(`${text.slice(20)} \r\n\0\t${frame(second)}\0${frame(third)}`);
      for (const user of [first, second, third]) {
        await watcher.nextEntry(user, ANSWER_WITHIN_MS, ({ status }) => status === 'online');
      }
    },
  },
  {
    rules: ['T3', 'L5'],
    title: 'the states 0 and -1 are clean goodbyes, without a grace',
    needs: 'tcp',
    run: async (kit) => {
      for (const leaving of [0, -1]) {
        const user = kit.user();
        const watcher = await kit.watch(user);
        const client = await kit.openTcp();
        client.write(frame(user));
        await watcher.nextEntry(user, ANSWER_WITHIN_MS, ({ status }) => status === 'online');
        client.write(frame(user, leaving));
        const entry = await watcher.nextEntry(user, AT_ONCE_MS, ({ status }) => status === 'offline');
        mustEqual('code', entry.code, -1);
        mustEqual('devices', entry.devices, []);
      }
    },
  },
  {
    rules: ['I8'],
    title: 'the integers 2 and 3 are away and busy, and another positive one is online and is shown',
    needs: 'tcp',
    run: async (kit) => {
      const user = kit.user();
      const watcher = await kit.watch(user);
      const client = await kit.openTcp();
      for (const [state, status] of [
        [2, 'away'],
        [3, 'busy'],
        [77, 'online'],
      ] as const) {
        client.write(frame(user, state));
        const entry = await watcher.nextEntry(user, ANSWER_WITHIN_MS, ({ code }) => code === state);
        mustEqual('status', entry.status, status);
      }
    },
  },
  {
    rules: ['T4'],
    title: 'fields may be attributes or elements at any depth, and the shallowest wins',
    needs: 'tcp',
    run: async (kit) => {
      const [shallow, deep] = [kit.user(), kit.user()];
      const watcher = await kit.watch(shallow, deep);
      const client = await kit.openTcp();
      client.write(
        `<protocol><a><b><user_id>${deep}</user_id></b></a><user user_id="${shallow}"><user_state>3</user_state></user></protocol>`,
      );
      await watcher.nextEntry(shallow, ANSWER_WITHIN_MS, ({ status }) => status === 'busy');
      mustEqual('what was reported of the deeper user', watcher.reported(deep), []);
    },
  },
  {
    rules: ['I1'],
    title: 'ids are text: a leading zero makes another user, and white space around an id does not',
    needs: 'tcp',
    run: async (kit) => {
      const [plain, padded] = [kit.user(), `0${kit.user()}`];
      const watcher = await kit.watch(plain, padded);
      const client = await kit.openTcp();
      client.write(frame(`\n ${padded} `));
      await watcher.nextEntry(padded, ANSWER_WITHIN_MS, ({ status }) => status === 'online');
      mustEqual('what was reported of the id without the zero', watcher.reported(plain), []);
    },
  },
  {
    rules: ['T7', 'T8'],
    title: 'a declared encoding is used, and bytes that do not fit elsewhere do no harm',
    needs: 'tcp',
    run: async (kit) => {
      const [wide, stray] = [kit.user(), kit.user()];
      const watcher = await kit.watch(wide, stray);
      const client = await kit.openTcp();
      client.write(
        Buffer.concat([
          Buffer.from(`<protocol><name>`),
          Buffer.from([0xc4, 0xe3, 0xba, 0xc3]), // GBK, not declared
          Buffer.from(`</name><user_id>${stray}</user_id></protocol>`),
        ]),
      );
      await watcher.nextEntry(stray, ANSWER_WITHIN_MS, ({ status }) => status === 'online');
      const other = await kit.openTcp();
      other.write(Buffer.from(`\uFEFF<?xml version="1.0" encoding="UTF-16"?>${frame(wide)}`, 'utf16le'));
      await watcher.nextEntry(wide, ANSWER_WITHIN_MS, ({ status }) => status === 'online');
    },
  },
  {
    rules: ['T12', 'L3'],
    title: 'a connection may carry many users, and all of them end with it',
    needs: 'tcp',
    run: async (kit) => {
      const users = [kit.user(), kit.user(), kit.user()];
      const watcher = await kit.watch(...users);
      const client = await kit.openTcp();
      client.write(users.map((user) => frame(user)).join(''));
      for (const user of users) await watcher.nextEntry(user, ANSWER_WITHIN_MS, ({ status }) => status === 'online');
      client.end();
      for (const user of users) await watcher.nextEntry(user, END_WITHIN_MS, ({ status }) => status === 'offline');
    },
  },
  {
    rules: ['T14'],
    title: 'a bad frame is skipped, and the other users of its connection stay',
    needs: 'tcp',
    run: async (kit) => {
      const [before, after] = [kit.user(), kit.user()];
      const watcher = await kit.watch(before, after);
      const client = await kit.openTcp();
      const bad = [
        '<protocol><user_state>1</user_state></protocol>',
        '<!DOCTYPE protocol [<!ENTITY x "y">]><protocol><user_id>&x;</user_id></protocol>',
        `<protocol><user_id>${before}</user_id><user_state>many</user_state></protocol>`,
        '<protocol><user_id>a b</user_id></protocol>',
      ];
      client.write(frame(before) + bad.join('') + frame(after));
      for (const user of [before, after]) {
        await watcher.nextEntry(user, ANSWER_WITHIN_MS, ({ status }) => status === 'online');
      }
      must(client.isOpen, 'the connection was closed for a few bad frames');
      mustEqual('the number of changes of the first user', watcher.reported(before).length, 1);
    },
  },
  {
    rules: ['T15'],
    title: '10 bad frames in a row, or more than 8 KiB without an end, close the connection',
    needs: 'tcp',
    run: async (kit) => {
      const bad = await kit.openTcp();
      bad.write('<protocol></protocol>'.repeat(BAD_FRAMES_THAT_CLOSE));
      await bad.closed();
      const endless = await kit.openTcp();
      endless.write(`<protocol><x>${'x'.repeat(MAX_FRAME_BYTES + 1)}`);
      await endless.closed();
    },
  },
  {
    rules: ['L4'],
    title: 'the lease of a silent TCP user ends, its connection stays open, and its next frame is a new session',
    needs: 'tcp',
    run: async (kit) => {
      const user = kit.user();
      const watcher = await kit.watch(user);
      const client = await kit.openTcp();
      client.write(frame(user));
      await watcher.nextEntry(user, ANSWER_WITHIN_MS, ({ status }) => status === 'online');
      await watcher.nextEntry(user, END_WITHIN_MS, ({ status }) => status === 'offline');
      must(client.isOpen, 'the connection was closed when the lease ended');
      client.write(frame(user));
      await watcher.nextEntry(user, ANSWER_WITHIN_MS, ({ status }) => status === 'online');
    },
  },
];
