package picture

// sheet is the style of an SVG. It has no variables, because not every program that shows an SVG knows them: the light colours
// stand by themselves, and those for the dark replace them. Words and shapes say what colours say.
const sheet = `text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-size:12px;fill:#57606a}
.name,.variable,.endpoint{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono","DejaVu Sans Mono",monospace}
.title{font-size:18px;font-weight:600;fill:#1f2328}
.name{font-size:14px;font-weight:600;fill:#1f2328}
.variable{font-size:13px;font-weight:600;fill:#1f2328}
.endpoint{font-size:11px}
.changing{fill:#0550ae}
.waiting{fill:#7d4e00}
.failed{fill:#a40e26}
.ground{fill:#ffffff}
.rule{fill:none;stroke:#d0d7de}
.body{fill:#f6f8fa;stroke:#6e7781;stroke-width:1.5}
.provisioned .body,.provisioned .lid{fill:#effaf1;stroke:#1a7f37;stroke-width:1.5}
.provisioned .lid{fill:none}
.third-party .body{fill:#f8f3ff;stroke:#8250df;stroke-width:1.5}
.absent .body{fill:#ffffff;stroke-dasharray:5 4}
.is-unused .body{fill:#ffffff}
.is-changing .body,.is-changing .lid{stroke:#0969da}
.is-waiting .body,.is-waiting .lid{stroke:#9a6700}
.is-failed .body,.is-failed .lid{stroke:#cf222e;stroke-width:2}
.mark{fill:none;stroke:#8250df;stroke-width:1.5}
.badge{fill:#cf222e}
.badge-sign{fill:none;stroke:#ffffff;stroke-width:2.2;stroke-linecap:round}
.halo{fill:none;stroke:#ffffff;stroke-width:7}
.wire{fill:none;stroke:#57606a;stroke-width:1.8}
.end{fill:#57606a}
.wire.coming{stroke:#0969da;stroke-width:2.2;stroke-dasharray:7 4}
.end.coming{fill:#0969da}
.wire.leaving{stroke:#8c959f;stroke-dasharray:2 4}
.end.leaving{fill:#ffffff;stroke:#8c959f;stroke-width:1.5}
.wire.refused{stroke:#cf222e;stroke-dasharray:7 4}
.end.refused{fill:#cf222e}
.cross{fill:none;stroke:#cf222e;stroke-width:2.5}
.wire.data{stroke:#0969da;stroke-width:5;stroke-linecap:round;stroke-dasharray:0.1 9}
.end.data{fill:#0969da}
.wire.data.is-failed{stroke:#cf222e}
.end.data.is-failed{fill:#cf222e}
@media (prefers-color-scheme:dark){
text{fill:#9198a1}
.title,.name,.variable{fill:#f0f6fc}
.changing{fill:#79c0ff}
.waiting{fill:#e3b341}
.failed{fill:#ff8e86}
.ground{fill:#0d1117}
.rule{stroke:#3d444d}
.body{fill:#161b22;stroke:#8b949e}
.provisioned .body,.provisioned .lid{fill:#10231a;stroke:#3fb950}
.provisioned .lid{fill:none}
.third-party .body{fill:#1e1733;stroke:#a371f7}
.absent .body,.is-unused .body{fill:#0d1117}
.is-changing .body,.is-changing .lid{stroke:#58a6ff}
.is-waiting .body,.is-waiting .lid{stroke:#d29922}
.is-failed .body,.is-failed .lid{stroke:#f85149}
.mark{stroke:#a371f7}
.badge{fill:#f85149}
.badge-sign{stroke:#0d1117}
.halo{stroke:#0d1117}
.wire{stroke:#9198a1}
.end{fill:#9198a1}
.wire.coming,.wire.data{stroke:#58a6ff}
.end.coming,.end.data{fill:#58a6ff}
.wire.leaving{stroke:#6e7681}
.end.leaving{fill:#0d1117;stroke:#6e7681}
.wire.refused,.cross,.wire.data.is-failed{stroke:#f85149}
.end.refused,.end.data.is-failed{fill:#f85149}
}
`
