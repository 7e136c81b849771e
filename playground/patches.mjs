// Corrections of accessibility in upstream files, and what is left out of them. The build fails where such a file has
// changed.
import { readFile } from "node:fs/promises";

// Features of the editor that GraphQL and JSON make no use of here.
const UNUSED_FEATURES = [
  "codelens/browser/codelensController",
  "colorPicker/browser/colorContributions",
  "colorPicker/browser/standaloneColorPickerActions",
  "diffEditorBreadcrumbs/browser/contribution",
  "dropOrPasteInto/browser/copyPasteContribution",
  "dropOrPasteInto/browser/dropIntoEditorContribution",
  "inlayHints/browser/inlayHintsContribution",
  "inlineCompletions/browser/inlineCompletions.contribution",
  "inlineEdit/browser/inlineEdit.contribution",
  "inlineEdits/browser/inlineEdits.contribution",
  "linkedEditing/browser/linkedEditing",
  "parameterHints/browser/parameterHints",
  "rename/browser/rename",
  "sectionHeaders/browser/sectionHeaders",
  "semanticTokens/browser/documentSemanticTokens",
  "semanticTokens/browser/viewportSemanticTokens",
  "stickyScroll/browser/stickyScrollContribution",
  "suggest/browser/suggestInlineCompletions",
];

// By file: texts that are in it once, with their replacements, in which `$&` is the text.
const PATCHES = {
  // A tab of ARIA may hold no button, as these do. They become a list of buttons, of which one is current.
  "@graphiql/react/dist/components/tabs/index.js": [
    ['"aria-selected": isActive,', ""],
    ['role: "tab",', ""],
    ['role: "tablist",', 'role: "list",'],
  ],
  "graphiql/dist/GraphiQL.js": [
    ["jsx(Tab.Button, {", '$& "aria-current": index_1 === activeTabIndex,'],
    ["jsx(Tab.Close, {", '$& "aria-label": `Close ${tab.title}`,'],
    ['role: "tabpanel",', 'role: "region",'],
  ],
  // The theme of the editor: contrasts of 4.5 and more.
  "@graphiql/react/dist/constants.js": [
    // Its tooltips say Ctrl, which is the Windows key here outside of macOS.
    ...["P", "M", "C"].map((key) => [
      `KeyMod.WinCtrl | KeyCode.Key${key}`,
      `(isMacOs ? KeyMod.WinCtrl : KeyMod.CtrlCmd) | KeyCode.Key${key}`,
    ]),
    ['light: "#d60590"', 'light: "#bd0580"'],
    ['dark: "#ff5794"', 'dark: "#ff75a8"'],
    ['dark: "#ff579419"', 'dark: "#ff57940d"'],
    ['foreground: "#6c69ce"', 'foreground: "#5956c8" }, { token: "number", foreground: "#076b46"'],
    ['foreground: "#908aff"', 'foreground: "#908aff" }, { token: "comment", foreground: "#8ab377"'],
  ],
  // The way out of an editor, in which Tab indents. playground.js handles the key.
  "@graphiql/react/dist/utility/create-editor.js": [
    ["tabIndex: -1,", '$& ariaLabel: "Editor. Escape leaves it.",'],
  ],
  // Each icon is beside its name, and its title would come from a minified name.
  "@graphiql/react/dist/icons/index.js": [["\t\t\t\ttitle,\n", '"aria-hidden": true,']],
  // The search has a name, and what is outside its results stays in reach.
  "@graphiql/plugin-doc-explorer/dist/components/search.js": [
    ["jsx(ComboboxInput, {", '$& "aria-label": "Search",'],
    ["jsxs(ComboboxOptions, {", "$& modal: false,"],
    ["jsxs(Combobox, {", '$& role: "search",'],
  ],
  // A name contains the text that is seen.
  "@graphiql/plugin-history/dist/components.js": [['"aria-label": "Set active",', ""]],
  "monaco-editor/esm/vs/editor/contrib/suggest/browser/suggestWidget.js": [
    ["let label = item.textLabel;", "let label = `${item.textLabel} ${item.completion.detail ?? ''}`;"],
    ["activeDescendant: getAriaId(index)", "activeDescendant: this._list.getElementID(index)"],
  ],
  "monaco-editor/esm/vs/editor/contrib/suggest/browser/suggestWidgetRenderer.js": [
    ["const right = append(", "main.append(' '); $&"],
    ["data.root.id = getAriaId(index);", ""],
  ],
  "monaco-editor/esm/vs/platform/quickinput/browser/quickInputTree.js": [
    ["const keybindingContainer = dom.append(row1,", "row1.append(' '); $&"],
    ["getRole(element) {", "getAriaLevel() {} $&"],
  ],
  "monaco-editor/esm/vs/platform/quickinput/browser/commandsQuickAccess.js": [
    ["keybinding.getAriaLabel()", "keybinding.getLabel()"],
  ],
  "monaco-editor/esm/vs/editor/editor.all.js": UNUSED_FEATURES.map((feature) => [`import './contrib/${feature}.js';`, ""]),
  // Items of the context menu: the link is the item, and a separator is no checkbox.
  "monaco-editor/esm/vs/base/browser/ui/menu/menu.js": [
    ["class BaseMenuActionViewItem extends BaseActionViewItem {", "$& setFocusable() {}"],
    ["this.item?.focus();", "$& this.element?.removeAttribute('tabindex');"],
    ["super.blur();", "$& this.element?.removeAttribute('tabindex');"],
    ["this.item.setAttribute('aria-checked', '');", "this.item.removeAttribute('aria-checked');"],
    ["class MenuSeparatorActionViewItem extends ActionViewItem {", "$& updateChecked() { this.label.setAttribute('role', 'separator'); }"],
  ],
  "monaco-editor/esm/vs/base/browser/ui/progressbar/progressbar.js": [
    ["('role', 'progressbar')", "$&; this.element.setAttribute('aria-label', 'Progress')"],
  ],
  // Arguments have their own names.
  "graphiql-explorer/dist/Explorer.js": [
    ["onChange: this._handleChange,", "$& 'aria-label': arg.name,"],
    ["value: argValue.kind === 'BooleanValue'", "'aria-label': arg.name, $&"],
    ["value: argValue.value }", "'aria-label': arg.name, $&"],
    ["value: this.state.newOperationType,", "$& 'aria-label': 'Operation',"],
  ],
};

export const patchPlugin = {
  name: "patches",
  setup({ onLoad, onEnd }) {
    const unread = new Set(Object.keys(PATCHES));
    onEnd(() => {
      if (unread.size) throw new Error(`The bundle does not contain ${[...unread]}`);
    });
    for (const [file, patches] of Object.entries(PATCHES)) {
      onLoad({ filter: new RegExp(`/node_modules/${file}$`) }, async ({ path }) => {
        unread.delete(file);
        let contents = await readFile(path, "utf8");
        for (const [text, replacement] of patches) {
          if (contents.split(text).length !== 2) throw new Error(`${path} does not contain this once: ${text}`);
          contents = contents.replace(text, replacement);
        }
        return { contents };
      });
    }
  },
};
