/** The operator's dashboard at /admin: builds its modules, starts them and renders them. */
import { render } from 'preact';
import { buildModules } from './modules.ts';
import { App } from './view/app.tsx';

const modules = buildModules();
modules.scraper.start();
modules.socket.start();
const isPeople = new URLSearchParams(location.search).get('page') === 'online';
if (!isPeople) modules.explain.start();
render(<App modules={modules} isPeople={isPeople} />, document.body);
