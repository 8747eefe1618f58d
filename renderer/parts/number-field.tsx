import { useEffect, useId, useState, type JSX } from 'react';

interface NumberFieldProps {
  label: string;
  /** Null: empty. */
  value: number | null;
  step: number;
  onChange: (value: number | null) => void;
}

/** A number that takes effect when the field is left or Enter is pressed, so that half a number never does. */
export function NumberField({ label, value, step, onChange }: NumberFieldProps): JSX.Element {
  const id = useId();
  const [text, setText] = useState(value === null ? '' : String(value));
  useEffect(() => setText(value === null ? '' : String(value)), [value]);
  function commit() {
    const number = text.trim() === '' ? null : Number(text);
    if (number === value || Number.isNaN(number)) return;
    onChange(number);
  }
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        type="number"
        min={0}
        step={step}
        value={text}
        onChange={({ target }) => setText(target.value)}
        onBlur={commit}
        onKeyDown={({ key }) => {
          if (key === 'Enter') commit();
        }}
      />
    </div>
  );
}
