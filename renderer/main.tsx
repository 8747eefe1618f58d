import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { socketTransport } from './link/socket-transport.ts';
import { followAddress, startWorkbench } from './state/workbench-store.ts';
import './styles/tokens.css';
import './styles/frame.css';
import './styles/controls.css';
import './styles/screens.css';
import { Workbench } from './workbench.tsx';

const place = document.getElementById('app');
if (place === null) throw new Error('the page has no place for the workbench');
followAddress();
window.addEventListener('hashchange', followAddress);
startWorkbench(socketTransport('/engine'));
createRoot(place).render(
  <StrictMode>
    <Workbench />
  </StrictMode>,
);
