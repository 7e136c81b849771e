// Makes a program for Node of each TypeScript file that is named, as a front end's bundler does.
import { readFile } from 'node:fs/promises';
import { transformAsync } from '@babel/core';
import { build } from 'esbuild';

// Relay's tags are replaced by what its compiler made of them.
const relay = {
  name: 'relay',
  setup({ onLoad }) {
    onLoad({ filter: /\/relay\.ts$/ }, async ({ path }) => {
      const { code } = await transformAsync(await readFile(path, 'utf8'), {
        filename: path,
        configFile: false,
        parserOpts: { plugins: ['typescript'] },
        plugins: [['relay', { eagerEsModules: true, artifactDirectory: './__generated__' }]],
      });
      return { contents: code, loader: 'ts' };
    });
  },
};

await build({
  entryPoints: process.argv.slice(2),
  bundle: true,
  format: 'esm',
  platform: 'node',
  packages: 'external',
  outdir: '.',
  outExtension: { '.js': '.mjs' },
  plugins: [relay],
});
