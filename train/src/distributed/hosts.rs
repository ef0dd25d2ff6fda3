/// The first host of a list as Slurm writes it, such as `gpu[03-05,07],login1` or `rack[1-2]-node[0-7]`; `None` where it is
/// no such list.
pub(super) fn first_host(list: &str) -> Option<String> {
    let mut host = String::new();
    let mut rest = list.trim();
    loop {
        let end = rest.find(['[', ',']).unwrap_or(rest.len());
        host.push_str(&rest[..end]);
        let Some(numbers) = rest[end..].strip_prefix('[') else { break };
        let (numbers, behind) = numbers.split_once(']')?;
        let first = numbers.split([',', '-']).next()?;
        if first.is_empty() || !first.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        host.push_str(first);
        rest = behind;
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    (!host.is_empty() && host.bytes().all(is_name)).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::first_host;

    #[test]
    fn brackets_are_expanded() {
        for (list, host) in [
            ("node", "node"),
            ("node1,node2", "node1"),
            ("gpu[03-05,07],login1", "gpu03"),
            ("gpu[7,9]", "gpu7"),
            ("rack[1-2]-node[0-7].local", "rack1-node0.local"),
            ("10.0.0.7", "10.0.0.7"),
            ("fe80::1", "fe80::1"),
        ] {
            assert_eq!(first_host(list).as_deref(), Some(host), "{list}");
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for list in ["", " ", ",node", "node[1", "node[]", "node[a-b]", "node 1", "node]1"] {
            assert_eq!(first_host(list), None, "{list}");
        }
    }
}
