//! What a constraint is about.

use muster_api::mesos::scheduler::attribute_constraint;
use muster_api::mesos::scheduler::attribute_constraint::selector::PseudoattributeType;
use muster_api::mesos::value;

use crate::AgentOptions;

/// Something of an agent.
#[derive(Debug)]
pub(super) enum Selector {
    Hostname,
    Region,
    Zone,
    /// The first attribute of this name.
    Attribute(String),
}

/// What an agent has of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selected<'a> {
    Nothing,
    Text(&'a str),
    /// A number, ranges or a set.
    Other,
}

impl Selector {
    pub(super) fn read(message: &attribute_constraint::Selector) -> Result<Self, String> {
        use attribute_constraint::selector::Selector as Choice;
        match &message.selector {
            Some(Choice::AttributeName(name)) => Ok(Self::Attribute(name.clone())),
            Some(Choice::PseudoattributeType(kind)) => match PseudoattributeType::try_from(*kind) {
                Ok(PseudoattributeType::Hostname) => Ok(Self::Hostname),
                Ok(PseudoattributeType::Region) => Ok(Self::Region),
                Ok(PseudoattributeType::Zone) => Ok(Self::Zone),
                _ => Err("the pseudoattribute is none of HOSTNAME, REGION and ZONE".to_owned()),
            },
            None => Err("set attribute_name or pseudoattribute_type".to_owned()),
        }
    }

    pub(super) fn select<'a>(&self, agent: &'a AgentOptions) -> Selected<'a> {
        let text =
            |text: Option<&'a String>| text.map_or(Selected::Nothing, |text| Selected::Text(text));
        match self {
            Self::Hostname => Selected::Text(&agent.hostname),
            Self::Region => text(agent.domain.as_ref().map(|domain| &domain.region)),
            Self::Zone => text(agent.domain.as_ref().map(|domain| &domain.zone)),
            Self::Attribute(name) => {
                let attribute = agent.attributes.iter().find(|attribute| attribute.name == *name);
                match attribute {
                    None => Selected::Nothing,
                    Some(attribute) if attribute.r#type() == value::Type::Text => {
                        text(attribute.text.as_ref().map(|text| &text.value))
                    }
                    Some(_) => Selected::Other,
                }
            }
        }
    }
}
