use super::*;

fn read(said: &str) -> Result<Pcre, String> {
    let quoted = format!("\"{said}\"");
    let read = Expression::read(&quoted, None);
    let built = read.and_then(|expression| expression.build(false, 0));
    built.map_err(|problem| problem.to_string())
}

/// What it says of each byte.
fn runs_of(said: &str) -> Option<Runs> {
    let quoted = format!("\"{said}\"");
    Expression::read(&quoted, None).unwrap().runs()
}

/// Whether each of these texts matches.
fn matches<const N: usize>(said: &str, texts: [&[u8]; N]) -> [bool; N] {
    let pcre = read(said).unwrap();
    texts.map(|text| pcre.regex.is_match(text))
}

#[test]
fn an_expression_matches_as_pcre_has_it() {
    // Bytes, not letters: what is not ASCII is no letter, and a dot is any byte but the end of a line.
    assert_eq!(
        matches(
            r"/^a.\xe4\w/",
            [b"ab\xe4c", b"a\xff\xe4c", b"a\n\xe4c", b"ab\xe4\xe4"]
        ),
        [true, true, false, false]
    );
    assert_eq!(matches("/^a.B$/is", [b"A\nb"]), [true]);
    assert_eq!(matches("/a b # c/x", [b"ab", b"a b"]), [true, false]);
    assert_eq!(matches("/b/A", [b"b", b"ab"]), [true, false]);
    assert_eq!(matches("/a|b/A", [b"xb"]), [false]);
}

#[test]
fn the_end_is_before_a_last_end_of_line_too_unless_a_flag_says_otherwise() {
    let texts: [&[u8]; 3] = [b"a", b"a\n", b"a\nb"];
    assert_eq!(matches("/a$/", texts), [true, true, false]);
    assert_eq!(matches("/a$/E", texts), [true, false, false]);
    assert_eq!(matches(r"/a\z/", texts), [true, false, false]);
    assert_eq!(matches("/a$/m", texts), [true, true, true]);
    assert_eq!(matches("/a(?:b|$|c)/", texts), [true, true, false]);
    assert_eq!(matches("/(x|(a$)|y)/", texts), [true, true, false]);
    for said in ["/a$b/", "/(a$|b)c/", "/(a$)?/"] {
        let why = read(said).unwrap_err();
        assert!(why.contains("something stands behind"), "{said}: {why}");
    }
}

#[test]
fn what_the_two_read_alike_is_taken_as_it_is() {
    let yes = [true];
    assert_eq!(matches(r"/^[\[a&b~-]+</", [b"[&~-<"]), yes);
    assert_eq!(matches("/^[]x]+$/", [b"]x"]), yes);
    assert_eq!(
        matches(r"/^[^\d\]a-c]$/", [b"d", b"]", b"b", b"7"]),
        [true, false, false, false]
    );
    assert_eq!(matches("/^[a-]+$/", [b"a-"]), yes);
    assert_eq!(matches("/^[[:alpha:]_]+$/", [b"aZ_"]), yes);
    assert_eq!(matches("/^a{2,}b{1}?$/", [b"aaab"]), yes);
    assert_eq!(
        matches(r#"/\xe4\x{4}\/\;\"\x00/"#, [b"\xe4\x04/;\"\0"]),
        yes
    );
    assert_eq!(
        matches("/(?<n>a)(?P<m>b)(?i)C(?-i:d)/", [b"abcd", b"abcD"]),
        [true, false]
    );
}

#[test]
fn what_is_said_of_each_byte_is_what_is_matched() {
    let texts: Vec<Vec<u8>> = (0_u32..4000)
        .map(|seed| {
            let mut state = seed.wrapping_mul(0x9e37_79b1) | 1;
            let next = |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                b"abAB\n\x00\xff\xc1u-19"[state as usize >> 16 & 7 ^ state as usize >> 24 & 3]
            };
            (0..seed % 9).map(next).collect()
        })
        .collect();
    for said in [
        "/^.{3}/",
        "/^.{3}/s",
        "/^(a|b|\\x00|\\xff)/s",
        "/^(?:A|\\xc1)[^a]{2}b/i",
        "/(?i)^a\\W/",
        "/ab.B/A",
        "/^(a(b)){2}/i",
        "/^\\Aa/",
        "/^[[:alpha:]]\\x0a?a{0}/m",
    ] {
        let pcre = read(said).unwrap();
        let Some(runs) = runs_of(said) else {
            assert!(
                said.contains('m') || said.contains("\\A") || said.contains("(?i)"),
                "{said}"
            );
            continue;
        };
        let mut found = 0;
        for text in &texts {
            let mut rest = text.iter();
            let sets = runs.runs.iter();
            let mut sets = sets.flat_map(|(set, len)| (0..*len).map(move |_| set));
            let is_there = sets.all(|set| rest.next().is_some_and(|byte| set.has(*byte)));
            assert_eq!(is_there, pcre.regex.is_match(text), "{said} {text:?}");
            found += usize::from(is_there);
        }
        assert!(found > 0, "{said}");
    }
    for said in [
        "/^.{65}/",
        "/^.{2,3}/",
        "/^a|b/",
        "/a/",
        "/^a$/",
        "/^a/m",
        "/^(ab|cd)/",
        "/^/",
        "/^a*/",
    ] {
        assert!(runs_of(said).is_none(), "{said}");
    }
}

#[test]
fn what_cannot_be_matched_is_refused_with_the_reason() {
    for (said, why) in [
        ("/a(?=b)/", "look-around"),
        ("/(?<!a)b/", "look-around"),
        (r"/(a)\1/", "backreferences"),
        ("/(?P=a)/", "unrecognized flag"),
        ("/(?P>a)/", "unrecognized flag"),
        ("/a++/", "gives nothing back"),
        ("/a**/", "a repetition of a repetition"),
        ("/a+ +/x", "a repetition of a repetition"),
        ("/a{,3}/", "a valid decimal"),
        ("/a{ 3 }/x", "this count"),
        ("/(?>a)/", "unrecognized flag"),
        ("/(?m)a/", "only i and s"),
        ("/(*ANY)a/", "repetition operator missing"),
        (r"/\vA/", "read in different ways"),
        (r"/\<a/", "read in different ways"),
        (r"/\u0041/", "read in different ways"),
        (r"/\x{e4}/", "not ASCII"),
        (r"/\Qa/", "unrecognized escape"),
        (r"/\012/", "backreferences"),
        (r"/\pL/", "letters of Unicode"),
        ("/ä/", "not ASCII"),
        ("/[a/", "unclosed character class"),
        ("/[[a]b]/", "a class in a class"),
        ("/[a&&b]/", "a class in a class"),
        ("/[a b]/x", "a space in a class"),
        ("/a\x1b[2Jb/", "a control byte"),
        ("/a\tb/x", "a control byte"),
        ("/a/P", "a buffer that is not looked at"),
        ("/a/k", "this flag is not known"),
        ("/a/UI", "name two buffers"),
        ("/(?:a{1000}){1000}/", "too large"),
        ("/(a/", "unclosed group"),
        ("a", "expected"),
    ] {
        let told = read(said).unwrap_err();
        assert!(
            told.starts_with("pcre: ") && told.contains(why),
            "{said}: {told}"
        );
    }
}

#[test]
fn as_deep_as_it_may_be_it_is_no_deeper_for_what_is_put_around_it() {
    for flags in ["", "A", "Ax"] {
        let deep = |depth: usize| {
            let (open, close) = ("(".repeat(depth), ")".repeat(depth));
            read(&format!("/{open}a$|b{close}/{flags}"))
        };
        let most = (1..100).take_while(|depth| deep(*depth).is_ok()).count();
        assert_eq!(most, 62, "{flags}");
        let told = deep(most + 1).unwrap_err();
        assert!(told.contains("nest") && !told.contains('\n'), "{told}");
    }
}

#[test]
fn a_larger_expression_takes_more_steps() {
    let steps = |said: &str, len| read(said).unwrap().steps(len);
    assert_eq!(steps("/a/", 0), 1);
    let steps = ["/^x+y/", "/a[ab]{20}[cd]/", "/a[ab]{400}[cd]/"].map(|said| steps(said, 1400));
    assert!(steps.is_sorted_by(|a, b| a < b), "{steps:?}");
    assert!(steps[0] <= 176 && steps[2] > 2000, "{steps:?}");
}
