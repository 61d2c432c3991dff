import { describe, expect, it } from 'vitest';
import { defaultFieldNames } from '../../../../server/adapters/tcp-xml/frames/names.ts';
import { readXmlState } from '../../../../server/adapters/tcp-xml/frames/read-state.ts';

const read = (body: Buffer | string) => readXmlState(Buffer.from(body), 'utf-8', defaultFieldNames);

describe('the state in an XML body', () => {
  it('needs no user', () => {
    expect(read('<protocol><user_state>2</user_state></protocol>')).toBe(2);
    expect(read('<protocol user_state="-1"/>')).toBe(-1);
    expect(read('<protocol user_state="-1"></protocol>')).toBe(-1);
  });

  it('may have white space around it, a declaration, a byte order mark, UTF-16', () => {
    expect(read('\ufeff \n<?xml version="1.0"?>\n<protocol><user_state>3</user_state></protocol>\n')).toBe(3);
    const wide = Buffer.from('\ufeff<protocol><user_state>3</user_state></protocol>', 'utf16le');
    expect(read(wide)).toBe(3);
  });

  it('is undefined without a state, or with one of another form', () => {
    expect(read('<protocol></protocol>')).toBeUndefined();
    expect(read('<protocol><user_state>gone</user_state></protocol>')).toBeUndefined();
    expect(read('{"status":"away"}')).toBeUndefined();
    expect(read('<protocol><user_state>3</user_state>')).toBeUndefined();
  });
});
