/** The operator's dashboard at /admin: builds its modules, starts them and renders them. */
import { render } from 'preact';
import { buildRooms } from './rooms.ts';
import { App } from './view/app.tsx';

const rooms = buildRooms();
rooms.scraper.start();
rooms.socket.start();
rooms.explain.start();
render(<App rooms={rooms} />, document.body);
