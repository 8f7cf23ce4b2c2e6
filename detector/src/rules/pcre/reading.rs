//! An expression, read as `regex` does: what PCRE reads in another way is refused, but for `$`, which is written anew.

use regex_syntax::ast::{
    Assertion, AssertionKind, Ast, ClassSet, ClassSetItem, Flag, Flags as Inline, FlagsItemKind,
    GroupKind, HexLiteralKind, Literal, LiteralKind, RepetitionKind, Span, SpecialLiteralKind,
    parse::ParserBuilder,
};

use super::{DEPTH_MAX, Flags, refused};
use crate::rules::problem::Problem;

const BEHIND_END: &str =
    "something stands behind \"$\", which matches before the last end of a line, too";
const AS_HEX: &str = "write a byte that is not ASCII as \\xff";
const IN_CLASS: &str = "a class in a class, or a \"[\" in one: write it as \\[";

/// An expression with nothing in it that PCRE reads in another way.
pub(super) struct Reading<'e> {
    expression: &'e str,
    flags: Flags,
    /// As `regex` is to have it.
    pub(super) written: String,
    /// How much of the expression is written.
    done: usize,
    /// Whether it asks what stands behind what it matches.
    pub(super) asks_behind: bool,
}

impl<'e> Reading<'e> {
    pub(super) fn of(expression: &'e str, flags: Flags) -> Result<Self, Problem> {
        if !expression.is_ascii() {
            return Err(refused(AS_HEX));
        }
        // It is printed as it is said.
        if expression.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(refused(
                "a control byte as it is: write it as \\t, or as \\x1b",
            ));
        }
        let mut parser = ParserBuilder::new();
        let parser = parser
            .ignore_whitespace(flags.has(b'x'))
            .nest_limit(DEPTH_MAX);
        let ast = parser
            .build()
            .parse(expression)
            .map_err(|error| Problem::Regex(error.kind().to_string().into()))?;
        let mut reading = Self {
            expression,
            flags,
            written: String::new(),
            done: 0,
            asks_behind: false,
        };
        if flags.has(b'A') {
            reading.written.push_str("\\A(?:");
        }
        reading.read(&ast, true)?;
        reading.write_to(expression.len());
        if flags.has(b'A') {
            // Behind a comment of `x` a line begins.
            reading
                .written
                .push_str(if flags.has(b'x') { "\n)" } else { ")" });
        }
        Ok(reading)
    }

    /// Writes the expression as it is, up to this byte.
    fn write_to(&mut self, end: usize) {
        let text = self.expression.get(self.done..end);
        self.written.push_str(text.unwrap_or_default());
        self.done = end;
    }

    /// Writes something else for what stands here.
    fn write(&mut self, at: &Span, text: &str) {
        self.write_to(at.start.offset);
        self.written.push_str(text);
        self.done = at.end.offset;
    }

    fn said(&self, at: &Span) -> &'e str {
        let said = self.expression.get(at.start.offset..at.end.offset);
        said.unwrap_or_default()
    }

    /// Reads a part; nothing stands behind one that is the last.
    fn read(&mut self, ast: &Ast, is_last: bool) -> Result<(), Problem> {
        match ast {
            Ast::Empty(_) | Ast::Dot(_) | Ast::ClassPerl(_) => Ok(()),
            Ast::ClassUnicode(_) => Err(refused("letters of Unicode are not known")),
            Ast::Flags(set) => inline(&set.flags),
            Ast::Literal(literal) => one_byte(literal),
            Ast::Assertion(assertion) => self.assertion(assertion, is_last),
            Ast::ClassBracketed(class) => {
                let is_space = |byte: u8| byte.is_ascii_whitespace() || byte == b'#';
                if self.flags.has(b'x') && self.said(&class.span).bytes().any(is_space) {
                    return Err(refused("a space in a class, and \"x\": write it as \\x20"));
                }
                match &class.kind {
                    ClassSet::Item(item) => item_of_class(item),
                    ClassSet::BinaryOp(_) => Err(refused(IN_CLASS)),
                }
            }
            Ast::Repetition(repetition) => {
                if matches!(*repetition.ast, Ast::Repetition(_)) {
                    return Err(refused(
                        "a repetition of a repetition, or one that gives nothing back",
                    ));
                }
                // With spaces it is no count to PCRE.
                let is_count = |byte: u8| byte.is_ascii_digit() || b"{,}?".contains(&byte);
                let said = self.said(&repetition.op.span);
                if let RepetitionKind::Range(_) = &repetition.op.kind
                    && !said.bytes().all(is_count)
                {
                    return Err(refused("this count is read in different ways"));
                }
                self.read(&repetition.ast, false)
            }
            Ast::Group(group) => {
                if let GroupKind::NonCapturing(flags) = &group.kind {
                    inline(flags)?;
                }
                self.read(&group.ast, is_last)
            }
            Ast::Alternation(either) => {
                let mut asts = either.asts.iter();
                asts.try_for_each(|ast| self.read(ast, is_last))
            }
            Ast::Concat(all) => {
                let last = all.asts.len().saturating_sub(1);
                let mut asts = all.asts.iter().enumerate();
                asts.try_for_each(|(index, ast)| self.read(ast, is_last && index == last))
            }
        }
    }

    fn assertion(&mut self, assertion: &Assertion, is_last: bool) -> Result<(), Problem> {
        match assertion.kind {
            AssertionKind::StartLine | AssertionKind::StartText => return Ok(()),
            AssertionKind::EndText
            | AssertionKind::WordBoundary
            | AssertionKind::NotWordBoundary => {}
            // The end of the text, or of a line; without `m`, before a line's end that is the last byte, too.
            AssertionKind::EndLine if self.flags.has(b'm') => {}
            AssertionKind::EndLine if self.flags.has(b'E') => self.write(&assertion.span, "\\z"),
            AssertionKind::EndLine if is_last => self.write(&assertion.span, "(?:\\n?\\z)"),
            AssertionKind::EndLine => return Err(refused(BEHIND_END)),
            AssertionKind::WordBoundaryStart
            | AssertionKind::WordBoundaryEnd
            | AssertionKind::WordBoundaryStartAngle
            | AssertionKind::WordBoundaryEndAngle
            | AssertionKind::WordBoundaryStartHalf
            | AssertionKind::WordBoundaryEndHalf => {
                return Err(refused("a backslash that is read in different ways"));
            }
        }
        self.asks_behind = true;
        Ok(())
    }
}

/// Flags within an expression: those of which nothing here depends.
fn inline(flags: &Inline) -> Result<(), Problem> {
    let is_known = flags.items.iter().all(|item| {
        matches!(
            item.kind,
            FlagsItemKind::Negation
                | FlagsItemKind::Flag(Flag::CaseInsensitive | Flag::DotMatchesNewLine)
        )
    });
    if is_known {
        Ok(())
    } else {
        Err(refused(
            "of flags within an expression only i and s are known",
        ))
    }
}

fn one_byte(literal: &Literal) -> Result<(), Problem> {
    match literal.kind {
        LiteralKind::HexBrace(HexLiteralKind::X) if literal.c.is_ascii() => Ok(()),
        LiteralKind::HexBrace(HexLiteralKind::X) => Err(refused(AS_HEX)),
        // There it is any vertical space.
        LiteralKind::Special(SpecialLiteralKind::VerticalTab)
        | LiteralKind::Octal
        | LiteralKind::HexFixed(HexLiteralKind::UnicodeShort | HexLiteralKind::UnicodeLong)
        | LiteralKind::HexBrace(HexLiteralKind::UnicodeShort | HexLiteralKind::UnicodeLong) => {
            Err(refused("a backslash that is read in different ways"))
        }
        LiteralKind::Verbatim
        | LiteralKind::Meta
        | LiteralKind::Superfluous
        | LiteralKind::HexFixed(HexLiteralKind::X)
        | LiteralKind::Special(_) => Ok(()),
    }
}

fn item_of_class(item: &ClassSetItem) -> Result<(), Problem> {
    match item {
        ClassSetItem::Literal(literal) => one_byte(literal),
        ClassSetItem::Range(range) => one_byte(&range.start).and(one_byte(&range.end)),
        ClassSetItem::Union(union) => union.items.iter().try_for_each(item_of_class),
        ClassSetItem::Empty(_) | ClassSetItem::Ascii(_) | ClassSetItem::Perl(_) => Ok(()),
        ClassSetItem::Unicode(_) | ClassSetItem::Bracketed(_) => Err(refused(IN_CLASS)),
    }
}
