import { describe, expect, it } from 'vitest';
import { defaultFieldNames, parseFieldNames } from '../../../../server/adapters/tcp-xml/frames/names.ts';

describe('HUB_TCP_NAMES (T5)', () => {
  it('keeps the usual names if it says nothing', () => {
    expect(parseFieldNames('')).toEqual({ ok: true, value: defaultFieldNames });
    expect(parseFieldNames('user_id=user_id')).toEqual({ ok: true, value: defaultFieldNames });
  });

  it('takes pairs, and the JSON object of the same', () => {
    const names = { ...defaultFieldNames, user_id: 'uid', user_state: '状态' };
    expect(parseFieldNames(' user_id = uid , user_state=状态 ')).toEqual({ ok: true, value: names });
    expect(parseFieldNames('{"user_id":"uid","user_state":"状态"}')).toEqual({ ok: true, value: names });
  });

  it('lets two fields swap their names', () => {
    expect(parseFieldNames('user_id=device,device=user_id')).toMatchObject({ ok: true });
  });

  it.each([
    ['uid=user_id', '"uid" is not a field: use user_id, user_state'],
    ['__proto__=x', '"__proto__" is not a field'],
    ['{"__proto__":"x"}', '"__proto__" is not a field'],
    ['user_id=1x', 'user_id needs an XML name, and "1x" is not one: write it like'],
    ['user_id=', 'user_id needs an XML name, and "" is not one'],
    ['user_id', 'user_id needs an XML name, and "" is not one'],
    ['user_id=a b', 'user_id needs an XML name'],
    ['user_id=a=b', 'user_id needs an XML name, and "a=b" is not one'],
    ['user_id=constructor', 'user_id needs an XML name'],
    ['{"user_id":7}', 'user_id needs an XML name, and 7 is not one'],
    ['user_id=uid,user_id=id', 'user_id is named twice: keep one of them'],
    ['user_id=uid,device=uid', 'user_id and device would both be "uid": give one of them another name'],
    ['user_id=device', 'user_id and device would both be "device"'],
    ['{"user_id":', 'is not a JSON object: write it like user_id=uid'],
    ['user_id=uid,', '"" is not a field'],
  ])('%s is refused with a sentence that names the field', (setting, sentence) => {
    const parsed = parseFieldNames(setting);
    expect(parsed.ok ? 'taken' : parsed.problem).toContain(sentence);
  });
});
